/*
 * fashion_mnist: what batch normalization does to training. The program owns the OpenCL context, queue and buffers;
 * CLBlast multiplies matrices and clnorm normalises, both on that queue and those buffers.
 */
#include <stdio.h>
#include <stdlib.h>

#include "options.h"
#include "plot.h"
#include "training.h"

static const char introduction[] =
    "usage: fashion_mnist [options]\n"
    "\n"
    "Trains a perceptron 784-256-256-10 on Fashion-MNIST twice, on an OpenCL device: with batch "
    "normalization\n"
    "before each relu of the hidden layers, and without; same first weights, same order of images, "
    "same learning\n"
    "rate. Prints a row an epoch, and leaves the curves in DIR as .tsv files and, by gnuplot, a "
    "plot.\n"
    "\n";
static const char end[] =
    "  --output DIR   where results go (default fashion-mnist-results; made if missing)\n"
    "\n"
    "Accuracy with batch normalization is given twice: with the statistics of the whole training "
    "set, gathered\n"
    "with frozen weights after the epoch (population), and with the running averages of "
    "training.\n";

static const char *const titles[VARIANTS] = {"with batch normalization", "without"};

static void print_heading(const struct options *options, const struct device *device,
                          const struct dataset *train)
{
    printf("Fashion-MNIST on %s: %zu images, batches of %zu, learning rate %g\n\n", device->name,
           train->count, options->batch, options->rate);
    printf("            mean loss            test accuracy, %%               seconds\n");
    printf("epoch     with  without   population  running  without      with  without\n");
    fflush(stdout);
}

static void print_row(size_t number, const struct epoch *with, const struct epoch *without)
{
    printf("%5zu %8.4g %8.4g        %5.2f    %5.2f    %5.2f     %5.1f    %5.1f\n", number,
           with->loss, without->loss, 100 * with->accuracy[POPULATION],
           100 * with->accuracy[RUNNING], 100 * without->accuracy[RUNNING], with->seconds,
           without->seconds);
    fflush(stdout);
}

static void train_both(const struct options *options, const struct device *device,
                       const struct dataset *train, const struct dataset *test,
                       struct epoch *const epochs[VARIANTS])
{
    const size_t images = train->count > test->count ? train->count : test->count;
    struct network networks[VARIANTS];
    for (int v = 0; v < VARIANTS; v++)
        networks[v] = network_create(device, v == WITH, options->batch, images, options->seed);
    uint64_t random = ~options->seed;
    print_heading(options, device, train);
    for (size_t i = 0; i < options->epochs; i++) {
        dataset_shuffle(device, train, &random);
        for (int v = 0; v < VARIANTS; v++) {
            char title[96];
            snprintf(title, sizeof title, "epoch %zu of %zu, %s", i + 1, options->epochs,
                     titles[v]);
            epochs[v][i] = training_epoch(&networks[v], train, test, options->rate, title);
        }
        print_row(i + 1, &epochs[WITH][i], &epochs[WITHOUT][i]);
    }
    for (int v = 0; v < VARIANTS; v++)
        network_release(&networks[v]);
}

int main(int count, char **words)
{
    const struct options options = options_read(count, words, introduction, end);
    struct device device = device_open(options.device);
    struct dataset train = dataset_load(&device, options.data, "train", options.train);
    struct dataset test = dataset_load(&device, options.data, "t10k", 0);
    struct epoch *const epochs[VARIANTS] = {allocate(options.epochs * sizeof(struct epoch)),
                                            allocate(options.epochs * sizeof(struct epoch))};
    train_both(&options, &device, &train, &test, epochs);
    printf("\n");
    plot_write(options.output ? options.output : "fashion-mnist-results", epochs, options.epochs);
    for (int v = 0; v < VARIANTS; v++)
        free(epochs[v]);
    dataset_release(&train);
    dataset_release(&test);
    device_close(&device);
    return EXIT_SUCCESS;
}
