#include "mpi_rank.h"

#include "convert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const int64_t samples[SHARES_MAX] = {3, 0, 1, 4, 2, 5, 1, 0};
int rank, ranks, wrong;

void complain(const char *what, const char *detail)
{
    fprintf(stderr, "test_mpi: rank %d of %d: %s: %s\n", rank, ranks, what, detail);
    wrong = 1;
}

void expect(int holds, const char *what, const struct clnorm_mpi *mpi)
{
    char detail[640] = "";
    if (holds)
        return;
    if (mpi)
        clnorm_mpi_error(mpi, detail, sizeof detail);
    complain(what, detail);
}

void require(int holds, const char *what)
{
    if (holds)
        return;
    complain(what, "cannot go on");
    MPI_Abort(MPI_COMM_WORLD, 1);
}

static struct place place_of(char **words)
{
    struct place place = {.shares = 0};
    for (int r = 0; r < ranks; r++) {
        const int64_t shares = strtoll(words[r], NULL, 10);
        if (r == rank) {
            place.shares = shares;
            place.first_share = place.all_shares;
            place.first = place.batch;
        }
        for (int64_t i = 0; i < shares; i++) {
            place.rows += r == rank ? samples[place.all_shares] : 0;
            place.batch += samples[place.all_shares++];
        }
        place.last_shares = shares;
    }
    return place;
}

struct place rank_open(int count, char **words)
{
    MPI_Init(&count, &words);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    require(count == ranks + 1, "an argument for each rank");
    return place_of(words + 1);
}

struct clnorm_mpi *rank_join(int64_t shares)
{
    char message[256] = "";
    struct clnorm_mpi *mpi;
    require(clnorm_mpi_create(MPI_COMM_WORLD, shares, &mpi, message, sizeof message) == CLNORM_OK,
            message);
    return mpi;
}

struct clnorm_context *rank_context(void)
{
    char message[256] = "";
    struct clnorm_context *const context = clnorm_verify_context(message, sizeof message);
    require(context != NULL, message);
    return context;
}

int rank_close(struct clnorm_mpi *mpi, struct clnorm_context *context)
{
    clnorm_mpi_release(mpi);
    clnorm_context_release(context);
    MPI_Finalize();
    return wrong;
}

void part_of(const struct clnorm_values *values, const struct place *place, int slot, size_t *first,
             size_t *count)
{
    const size_t row = (size_t)(values->problem.channels * values->spatial);
    const size_t each = clnorm_slots[slot].tensor ? row : slot == CLNORM_SLOT_LENGTHS ? 1 : 0;
    *first = (size_t)place->first * each;
    *count = each > 0 ? (size_t)place->rows * each : values->slot[slot].elements;
}

static struct clnorm_buffer upload(struct clnorm_context *context,
                                   const struct clnorm_values *values, const struct place *place,
                                   int slot)
{
    size_t first, count;
    cl_int code;
    const size_t size = clnorm_values_element_size(values, (enum clnorm_slot)slot);
    part_of(values, place, slot, &first, &count);
    unsigned char *const stored = calloc(first + count + 1, size);
    require(stored != NULL, "memory");
    for (size_t i = first; i < first + count; i++)
        clnorm_values_store(values, (enum clnorm_slot)slot, stored, i);
    const cl_mem memory =
        clCreateBuffer(clnorm_context_opencl(context), CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR,
                       (count + 1) * size, stored + first * size, &code);
    require(code == CL_SUCCESS, "clCreateBuffer");
    free(stored);
    return (struct clnorm_buffer){memory, 0};
}

static void download(struct clnorm_context *context, struct clnorm_values *values,
                     const struct place *place, int slot, cl_mem memory)
{
    size_t first, count;
    const struct clnorm_slot_values *const one = &values->slot[slot];
    const size_t size = clnorm_dtype_size(one->dtype);
    part_of(values, place, slot, &first, &count);
    unsigned char *const stored = calloc(count + 1, size);
    require(stored && clEnqueueReadBuffer(clnorm_context_queue(context), memory, CL_TRUE, 0,
                                          count * size + (count == 0), stored, 0, NULL,
                                          NULL) == CL_SUCCESS,
            "clEnqueueReadBuffer");
    for (size_t i = 0; i < count; i++)
        one->data[first + i] = clnorm_convert_load(one->dtype, stored, i);
    free(stored);
}

static struct clnorm_buffer *buffer_of(struct clnorm_arguments *arguments, int slot)
{
    return (struct clnorm_buffer *)((char *)arguments + clnorm_slots[slot].offset);
}

void upload_all(struct clnorm_context *context, const struct clnorm_values *values,
                const struct place *place, struct clnorm_arguments *arguments)
{
    *arguments = (struct clnorm_arguments){.size = sizeof *arguments,
                                           .batch = place->rows,
                                           .spatial = values->spatial,
                                           .epsilon = values->epsilon,
                                           .momentum = values->momentum,
                                           .r_max = values->r_max,
                                           .d_max = values->d_max,
                                           .optimiser = values->optimiser};
    for (int slot = 0; slot < CLNORM_SLOT_COUNT; slot++)
        if (values->slot[slot].use != CLNORM_UNUSED)
            *buffer_of(arguments, slot) = upload(context, values, place, slot);
}

void download_all(struct clnorm_context *context, struct clnorm_values *values,
                  const struct place *place, struct clnorm_arguments *arguments)
{
    for (int slot = 0; slot < CLNORM_SLOT_COUNT; slot++) {
        const enum clnorm_use use = values->slot[slot].use;
        if (use == CLNORM_WRITTEN || use == CLNORM_READ_WRITTEN)
            download(context, values, place, slot, buffer_of(arguments, slot)->memory);
        if (use != CLNORM_UNUSED)
            clReleaseMemObject(buffer_of(arguments, slot)->memory);
    }
}

uint64_t digest(uint64_t start, const void *data, size_t bytes)
{
    const unsigned char *const at = data;
    for (size_t i = 0; i < bytes; i++)
        start = (start ^ at[i]) * 0x100000001b3u;
    return start;
}

uint64_t gather(struct clnorm_values *values, const struct place *place, const char *text)
{
    uint64_t sum = 0xcbf29ce484222325u;
    for (int slot = 0; slot < CLNORM_SLOT_COUNT; slot++) {
        struct clnorm_slot_values *const one = &values->slot[slot];
        if (one->use != CLNORM_WRITTEN && one->use != CLNORM_READ_WRITTEN)
            continue;
        size_t first, count;
        const size_t bytes = one->elements * sizeof(double);
        double *const mine = calloc(one->elements + 1, sizeof(double));
        require(mine != NULL, "memory");
        part_of(values, place, slot, &first, &count);
        memcpy(mine + first, one->data + first, count * sizeof(double));
        /* Rows of others are 0 here: the bits of all can be put together. */
        MPI_Allreduce(mine, one->data, (int)one->elements, MPI_UINT64_T, MPI_BOR, MPI_COMM_WORLD);
        expect(clnorm_slots[slot].tensor || memcmp(mine, one->data, bytes) == 0, text, NULL);
        sum = digest(sum, one->data, bytes);
        free(mine);
    }
    return sum;
}
