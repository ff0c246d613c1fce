/*
 * fashion_mnist_mpi: the training of fashion_mnist, with every batch spread over the ranks of an MPI program. Its code is that
 * of fashion_mnist but for batch.c: batch normalization is exactly that of the whole batch, so that the losses are those of
 * one process.
 */
#include <clnorm/mpi.h>

#include <stdio.h>
#include <stdlib.h>

#include "options.h"
#include "ranks.h"
#include "training.h"

/* Each batch is cut into so many shares, on however many ranks. */
enum { SHARES = 4 };

static const char introduction[] =
    "usage: mpirun -n 4 fashion_mnist_mpi [options]\n"
    "\n"
    "Trains a perceptron 784-256-256-10 with batch normalization on Fashion-MNIST. Every batch is "
    "cut into 4 shares,\n"
    "and spread over the ranks. Prints, for each twentieth of an epoch, the mean loss.\n"
    "\n";

static void print_epoch(size_t number, const struct epoch *epoch, double accuracy)
{
    for (size_t i = 0; i < POINTS; i++)
        printf("%.3f\t%.6f\n", (double)(number - 1) + ((double)i + 0.5) / POINTS, epoch->points[i]);
    printf("# epoch %zu: loss %.6f, accuracy %.2f %%\n", number, epoch->loss, 100 * accuracy);
    fflush(stdout);
}

/* Ranks differ in the rows they have, and in nothing else: the same order and first weights, and the same steps. */
static void train(const struct options *options, const struct device *device,
                  const struct dataset *train_set, const struct dataset *test_set)
{
    const size_t images = train_set->count > test_set->count ? train_set->count : test_set->count;
    const int speaks = device->ranks->rank == 0;
    struct network network = network_create(device, 1, options->batch, images, options->seed);
    uint64_t random = ~options->seed;
    for (size_t i = 1; i <= options->epochs; i++) {
        struct epoch epoch = {.loss = 0};
        dataset_shuffle(device, train_set, &random);
        training_steps(&network, train_set, options->rate, NULL);
        training_losses(&network, train_set->count, &epoch);
        if (speaks)
            print_epoch(i, &epoch, training_accuracy(&network, test_set, RUNNING));
    }
    network_release(&network);
}

int main(int count, char **words)
{
    MPI_Init(&count, &words);
    const struct options options = options_read(count, words, introduction, "");
    if (options.output)
        die("--output: this program writes no files");
    struct device device = device_open(options.device);
    struct ranks ranks = ranks_open(SHARES);
    device.ranks = &ranks;
    struct dataset train_set = dataset_load(&device, options.data, "train", options.train);
    struct dataset test_set = dataset_load(&device, options.data, "t10k", 0);
    train(&options, &device, &train_set, &test_set);
    const struct clnorm_mpi_statistics sent = clnorm_mpi_statistics(ranks.mpi);
    if (ranks.rank == 0)
        printf("# %d ranks; rank 0 sent %.1f KiB in %llu passes of batch normalization\n",
               ranks.count, (double)sent.bytes / 1024, (unsigned long long)sent.passes);
    dataset_release(&train_set);
    dataset_release(&test_set);
    ranks_close(&ranks);
    device_close(&device);
    MPI_Finalize();
    return EXIT_SUCCESS;
}
