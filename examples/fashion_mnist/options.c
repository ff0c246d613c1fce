#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const char common_help[] =
    "  --epochs N     times through the training images (default 4)\n"
    "  --batch N      images a step (default 128)\n"
    "  --rate R       learning rate of plain gradient descent (default 0.3)\n"
    "  --seed N       of first weights and order (default 1)\n"
    "  --train N      use the first N training images only\n"
    "  --device D     index in `clnorm devices`, or part of a device's name (default: a GPU, else "
    "the first)\n"
    "  --data DIR     where Fashion-MNIST's four .gz files are (default "
    "/usr/share/datasets/fashion-mnist)\n"
    "  --help         this text\n";

static const struct option words_known[] = {
    {"epochs", required_argument, NULL, 'e'}, {"batch", required_argument, NULL, 'b'},
    {"rate", required_argument, NULL, 'r'},   {"seed", required_argument, NULL, 's'},
    {"train", required_argument, NULL, 't'},  {"device", required_argument, NULL, 'd'},
    {"data", required_argument, NULL, 'i'},   {"output", required_argument, NULL, 'o'},
    {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
};

__attribute__((noreturn)) static void wrong_usage(const char *option, const char *value,
                                                  const char *accepted)
{
    fprintf(stderr, "fashion_mnist: --%s %s: must be %s\n", option, value, accepted);
    exit(2);
}

static uint64_t read_count(const char *option, const char *value, uint64_t least, uint64_t most)
{
    char *end;
    errno = 0;
    const unsigned long long number = strtoull(value, &end, 10);
    if (!isdigit((unsigned char)value[0]) || *end || errno || number < least || number > most) {
        char accepted[64];
        snprintf(accepted, sizeof accepted, "a whole number from %llu to %llu",
                 (unsigned long long)least, (unsigned long long)most);
        wrong_usage(option, value, accepted);
    }
    return number;
}

static double read_rate(const char *value)
{
    char *end;
    const double number = strtod(value, &end);
    if (end == value || *end || !isfinite(number) || number <= 0)
        wrong_usage("rate", value, "a positive number");
    return number;
}

struct options options_read(int count, char **words, const char *introduction, const char *end)
{
    struct options options = {
        .epochs = 4,
        .batch = 128,
        .rate = 0.3,
        .seed = 1,
        .data = "/usr/share/datasets/fashion-mnist",
    };
    int letter;
    while ((letter = getopt_long(count, words, "", words_known, NULL)) != -1) {
        switch (letter) {
        case 'e': options.epochs = read_count("epochs", optarg, 1, 1000); break;
        case 'b': options.batch = read_count("batch", optarg, 1, 65536); break;
        case 'r': options.rate = read_rate(optarg); break;
        case 's': options.seed = read_count("seed", optarg, 0, UINT64_MAX); break;
        case 't': options.train = read_count("train", optarg, 1, 10000000); break;
        case 'd': options.device = optarg; break;
        case 'i': options.data = optarg; break;
        case 'o': options.output = optarg; break;
        case 'h': printf("%s%s%s", introduction, common_help, end); exit(EXIT_SUCCESS);
        default:
            fputs("Try fashion_mnist --help\n", stderr);
            exit(2); /* getopt_long has said what is wrong */
        }
    }
    if (optind < count) {
        fprintf(stderr, "fashion_mnist: '%s' is not an option; try --help\n", words[optind]);
        exit(2);
    }
    return options;
}
