#include "commands.h"
#include "device_run.h"
#include "inputs.h"
#include "message.h"
#include "outputs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct settings {
    struct option_list files;
    const char *output, *device, *merge_with;
    unsigned batch; /* 0: as many samples as PIECE_BYTES hold */
    int layout, saved;
};

static const char operand[] = "X.npy...";
static const uint64_t PIECE_BYTES = UINT64_C(64) << 20;

static const struct option options[] = {
    {operand, OPTION_LIST, offsetof(struct settings, files), "F",
     .help = "arrays of two or more axes, f2, f4 or f8, all with as many channels", .required = 1},
    {"-o", OPTION_OUTPUT, offsetof(struct settings, output), "F",
     .help = "the statistics: f8, rows count, mean and m2", .required = 1},
    {"--layout", OPTION_CHOICE, offsetof(struct settings, layout), "nchw|nhwc",
     .help = "the channel axis: the second (nchw, default) or the last", .choices = option_layouts},
    {"--device", OPTION_TEXT, offsetof(struct settings, device), "D",
     .help = "index or part of a name, as 'clnorm devices' lists"},
    {"--batch", OPTION_COUNT, offsetof(struct settings, batch), "N",
     .help = "samples in memory at once (default: what 64 MiB hold)",
     .expects = "a whole number from 1 to 1000000000", .low = 1, .high = 1e9},
    {"--merge-with", OPTION_INPUT, offsetof(struct settings, merge_with), "F",
     .help = "statistics to begin with: go on where another run ended"},
    {"--saved", OPTION_FLAG, offsetof(struct settings, saved), "",
     .help = "the files are statistics themselves, to be merged"},
};

struct work {
    const struct settings *settings;
    struct clnorm_context *context; /* made for the first array */
    struct clnorm_moments total;    /* empty before the first file */
    struct outputs outputs;
};

static int out_of_memory(const char *path)
{
    return fail(WORK_FAILED, "%s: %s: out of memory; a smaller --batch may do", operand, path);
}

/* What every file must agree on with those before it. */
static int check_channels(struct work *work, const char *option, const char *path, int64_t channels)
{
    if (work->total.channels == 0)
        return clnorm_moments_create(channels, &work->total) == CLNORM_OK ? DONE
                                                                          : out_of_memory(path);
    if (work->total.channels == channels)
        return DONE;
    return fail(WORK_FAILED,
                "%s: %s has %" PRId64 " channels (%s), and what came before has %" PRId64
                "; they must agree (see --layout)",
                option, path, channels, option_layouts[work->settings->layout],
                work->total.channels);
}

static int merge_saved(struct work *work, const char *option, const char *path)
{
    struct clnorm_moments moments;
    int status = statistics_read(option, path, &moments);
    if (status != DONE)
        return status;
    status = check_channels(work, option, path, moments.channels);
    if (status == DONE)
        clnorm_moments_merge(&work->total, &moments);
    clnorm_moments_free(&moments);
    return status;
}

/* An array on its way to the device, some samples at a time. */
struct passage {
    const char *path;
    struct npy_stream stream;
    struct input_shape shape;
    size_t sample; /* bytes */
    struct device_run run;
    void *piece;  /* samples on the host */
    void *record; /* the device's moments of them */
    struct clnorm_moments moments;
};

static int run_piece(struct passage *passage, struct clnorm_moments *total, uint64_t samples)
{
    char message[NPY_MESSAGE_SIZE];
    const size_t x = device_buffer_index("x"), bytes = (size_t)samples * passage->sample;
    if (!npy_next(&passage->stream, passage->piece, bytes, message))
        return input_fail(operand, passage->path, message);
    passage->run.arguments.batch = (int64_t)samples;
    passage->run.sizes[x].bytes = bytes;
    int status = device_run_write(&passage->run, x, passage->piece);
    if (status == DONE)
        status = device_run_execute(&passage->run);
    if (status == DONE)
        status = device_run_read(&passage->run, device_buffer_index("moments"), passage->record);
    if (status != DONE)
        return status;
    clnorm_moments_unpack(&passage->moments, passage->shape.problem.dtype, passage->record);
    clnorm_moments_merge(total, &passage->moments);
    return DONE;
}

static int run_pieces(struct work *work, struct passage *passage)
{
    char message[NPY_MESSAGE_SIZE];
    const uint64_t batch = passage->shape.batch;
    const uint64_t asked = work->settings->batch ? work->settings->batch
                           : passage->sample     ? PIECE_BYTES / passage->sample
                                                 : batch;
    const uint64_t step = asked < 1 ? 1 : asked < batch ? asked : batch;
    int status = device_run_open(&passage->run, work->context, &passage->shape.problem,
                                 (int64_t)step, (int64_t)passage->shape.spatial);
    if (status != DONE)
        return status;
    passage->piece = malloc((size_t)step * passage->sample + 1);
    passage->record = malloc(passage->run.sizes[device_buffer_index("moments")].bytes);
    if (!passage->piece || !passage->record ||
        clnorm_moments_create(passage->shape.problem.channels, &passage->moments) != CLNORM_OK)
        return out_of_memory(passage->path);
    for (uint64_t done = 0; status == DONE && done < batch; done += step)
        status = run_piece(passage, &work->total, step < batch - done ? step : batch - done);
    if (status == DONE && !npy_end(&passage->stream, message))
        status = input_fail(operand, passage->path, message);
    return status;
}

static int add_array(struct work *work, const char *path, int file)
{
    char message[NPY_MESSAGE_SIZE];
    struct passage passage = {.path = path};
    const struct clnorm_problem *const problem = &passage.shape.problem;
    if (!npy_open(file, &passage.stream, message))
        return input_fail(operand, path, message);
    int status = input_shape(operand, path, &passage.stream.header, CLNORM_MOMENTS, 0,
                             (enum clnorm_layout)work->settings->layout, &passage.shape);
    if (status == DONE)
        status = check_channels(work, operand, path, problem->channels);
    if (status == DONE && !work->context)
        status = context_open(work->settings->device, CLNORM_KIND_AUTO, NULL, &work->context);
    if (status != DONE)
        return status;
    passage.sample = (size_t)passage.shape.spatial * (size_t)problem->channels *
                     npy_element_size(problem->dtype);
    status = run_pieces(work, &passage);
    device_run_close(&passage.run);
    clnorm_moments_free(&passage.moments);
    free(passage.piece);
    free(passage.record);
    return status;
}

static int add_file(struct work *work, const char *path)
{
    int file;
    if (work->settings->saved)
        return merge_saved(work, operand, path);
    int status = input_open(operand, path, &file);
    if (status != DONE)
        return status;
    status = add_array(work, path, file);
    input_close(path, file);
    return status;
}

/* Standard input can be read once. */
static int check_usage(const struct settings *settings)
{
    size_t standard = settings->merge_with && strcmp(settings->merge_with, "-") == 0;
    for (size_t i = 0; i < settings->files.count; i++)
        standard += strcmp(settings->files.items[i], "-") == 0;
    if (standard > 1)
        return fail(WRONG_USAGE, "%s: standard input ('-') is given twice; give one of them a file",
                    operand);
    return DONE;
}

static int do_work(struct work *work)
{
    const struct settings *const settings = work->settings;
    int status = outputs_add(&work->outputs, "-o", settings->output);
    if (status == DONE && settings->merge_with)
        status = merge_saved(work, "--merge-with", settings->merge_with);
    for (size_t i = 0; status == DONE && i < settings->files.count; i++)
        status = add_file(work, settings->files.items[i]);
    if (status != DONE)
        return status;
    if (!statistics_array(&work->total, &work->outputs.items[0].array))
        return fail(WORK_FAILED, "-o: out of memory");
    return outputs_commit(&work->outputs);
}

static int run(const struct command *self, int argc, char **argv)
{
    struct settings settings = {.layout = CLNORM_NCHW};
    struct work work = {.settings = &settings};
    int status = options_parse(self, argc, argv, &settings);
    if (status == DONE)
        status = check_usage(&settings);
    if (status != DONE)
        return status;
    status = do_work(&work);
    outputs_free(&work.outputs);
    clnorm_moments_free(&work.total);
    clnorm_context_release(work.context);
    return status;
}

const struct command command_moments = {
    .name = "moments",
    .summary = "exact statistics of any number of arrays, for infer",
    .synopsis = "X.npy... -o S.npy [options]",
    .text =
        "Count, mean and sum of squared deviations (m2) of each channel over all arrays, which "
        "may\n"
        "differ in everything but their channels: exact population statistics of a training "
        "set\n"
        "that comes in batches of any size. A part of one array is in memory at a time. S.npy "
        "has\n"
        "three rows of f8, and goes to 'clnorm infer --statistics', or here again to be merged.\n",
    .examples = "  clnorm moments batch-*.npy -o population.npy\n"
                "  clnorm moments new.npy --merge-with population.npy -o population.npy\n"
                "  clnorm moments --saved machine-*.npy -o population.npy\n"
                "  clnorm infer x.npy -o y.npy --statistics population.npy\n",
    .options = options,
    .option_count = ROWS(options),
    .run = run,
};
