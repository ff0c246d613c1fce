#include "dataset.h"

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include "random.h"

static uint32_t big_endian(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* Opens an IDX file of unsigned bytes with `rank` dimensions after checking its header; *count is its first dimension. */
static gzFile open_idx(const char *path, unsigned rank, size_t item, size_t *count)
{
    const gzFile file = gzopen(path, "rb");
    if (!file)
        die("%s: cannot be opened; --data names the directory with the four .gz files of "
            "Fashion-MNIST",
            path);
    unsigned char header[4 + 4 * 3];
    const int size = (int)(4 + 4 * rank);
    if (gzread(file, header, (unsigned)size) != size || big_endian(header) != (0x0800 | rank))
        die("%s: not an IDX file of bytes with %u dimensions", path, rank);
    size_t found = 1;
    for (unsigned i = 1; i < rank; i++)
        found *= big_endian(header + 4 + 4 * i);
    if (found != item)
        die("%s: items of %zu bytes where %zu were expected", path, found, item);
    *count = big_endian(header + 4);
    return file;
}

/* The items of an IDX file in a new device buffer; *count is lowered to what the file has, 0 stands for all. */
static cl_mem load_idx(const struct device *device, const char *directory, const char *stem,
                       const char *kind, unsigned rank, size_t item, size_t *count)
{
    char path[4096];
    const int length =
        snprintf(path, sizeof path, "%s/%s-%s-idx%u-ubyte.gz", directory, stem, kind, rank);
    if (length < 0 || (size_t)length >= sizeof path)
        die("%s: the path is too long", directory);
    size_t available;
    const gzFile file = open_idx(path, rank, item, &available);
    *count = *count && *count < available ? *count : available;
    if (*count == 0 || *count > 10000000)
        die("%s: %zu items", path, *count);
    unsigned char *const bytes = allocate(*count * item);
    if (gzread(file, bytes, (unsigned)(*count * item)) != (int)(*count * item))
        die("%s: ends too early, or is damaged", path);
    gzclose(file);
    const cl_mem memory = device_buffer(device, *count * item, bytes);
    free(bytes);
    return memory;
}

static void check_labels(const struct device *device, const struct dataset *dataset,
                         const char *directory)
{
    unsigned char *const labels = allocate(dataset->count);
    device_read(device, dataset->labels, dataset->count, labels);
    for (size_t i = 0; i < dataset->count; i++) {
        if (labels[i] >= CLASSES)
            die("%s: a label of %u; there are %d classes", directory, labels[i], CLASSES);
    }
    free(labels);
}

struct dataset dataset_load(const struct device *device, const char *directory, const char *stem,
                            size_t limit)
{
    struct dataset dataset = {.count = limit};
    dataset.images = load_idx(device, directory, stem, "images", 3, PIXELS, &dataset.count);
    const size_t images = dataset.count;
    dataset.labels = load_idx(device, directory, stem, "labels", 1, 1, &dataset.count);
    if (dataset.count != images)
        die("%s: %zu images but %zu labels", directory, images, dataset.count);
    check_labels(device, &dataset, directory);
    cl_uint *const order = allocate(images * sizeof *order);
    for (size_t i = 0; i < images; i++)
        order[i] = (cl_uint)i;
    dataset.order = device_buffer(device, images * sizeof *order, order);
    free(order);
    return dataset;
}

/* Fisher and Yates. */
void dataset_shuffle(const struct device *device, const struct dataset *dataset, uint64_t *random)
{
    const size_t bytes = dataset->count * sizeof(cl_uint);
    cl_uint *const order = allocate(bytes);
    for (size_t i = 0; i < dataset->count; i++) {
        const size_t j = random_next(random) % (i + 1);
        order[i] = order[j];
        order[j] = (cl_uint)i;
    }
    device_write(device, dataset->order, bytes, order);
    free(order);
}

void dataset_release(struct dataset *dataset)
{
    clReleaseMemObject(dataset->images);
    clReleaseMemObject(dataset->labels);
    clReleaseMemObject(dataset->order);
}
