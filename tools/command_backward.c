#include "arrays.h"
#include "commands.h"

static const struct option options[] = {
    ARRAY_OPTION("X.npy", OPTION_INPUT, x, "F", "the array that forward normalised", .required = 1),
    ARRAY_OPTION("DY.npy", OPTION_INPUT, dy, "F", "the gradient of the loss in forward's output",
                 .required = 1),
    ARRAY_OUTPUT("-o", output, "the gradient of the loss in X", .required = 1),
    ARRAY_INPUT("--mean", mean, "what forward's --save-mean wrote", .required = 1),
    ARRAY_INPUT("--invstd", invstd, "what forward's --save-invstd wrote", .required = 1),
    ARRAY_OPTION_LAYOUT,
    ARRAY_OPTION_DEVICE,
    ARRAY_INPUT("--scale", scale, "what forward multiplied by (default: ones)"),
    ARRAY_OPTION("--frozen", OPTION_FLAG, frozen, "",
                 "mean and invstd are constants, not functions of X"),
    ARRAY_OPTION("--relu", OPTION_FLAG, relu, "", "forward ended in a relu", .needs = "--y"),
    ARRAY_INPUT("--y", y, "with --relu: forward's output", .needs = "--relu"),
    ARRAY_OUTPUT("--dscale", dscale, "the gradient of the loss in scale"),
    ARRAY_OUTPUT("--dshift", dshift, "the gradient of the loss in shift"),
    ARRAY_OUTPUT("--dadd", dadd, "the gradient of the loss in forward's --add"),
};

/* A gradient asks for its flag even where the parameter is not given: scale is then one and shift
 * zero. */
static const struct array_file files[] = {
    ARRAY_FILE("X.npy", x, "x", TENSOR_IN, 0),
    ARRAY_FILE("DY.npy", dy, "dy", TENSOR_IN, 0),
    ARRAY_FILE("--mean", mean, "mean", PARAMETER_IN, 0),
    ARRAY_FILE("--invstd", invstd, "invstd", PARAMETER_IN, 0),
    ARRAY_FILE("--scale", scale, "scale", PARAMETER_IN, CLNORM_SCALE),
    ARRAY_FILE("--y", y, "y", TENSOR_IN, 0),
    ARRAY_FILE("-o", output, "dx", TENSOR_OUT, 0),
    ARRAY_FILE("--dscale", dscale, "dscale", PARAMETER_OUT, CLNORM_SCALE),
    ARRAY_FILE("--dshift", dshift, "dshift", PARAMETER_OUT, CLNORM_SHIFT),
    ARRAY_FILE("--dadd", dadd, "dadd", TENSOR_OUT, CLNORM_ADD),
};

static int run(const struct command *self, int argc, char **argv)
{
    struct array_settings settings = array_settings_default();
    const int status = options_parse(self, argc, argv, &settings);
    if (status != 0)
        return status;
    return array_command(settings.frozen ? CLNORM_BACKWARD_FROZEN : CLNORM_BACKWARD,
                         settings.relu ? CLNORM_RELU : 0u, files, ROWS(files), &settings);
}

const struct command command_backward = {
    .name = "backward",
    .summary = "gradients of forward",
    .synopsis = "X.npy DY.npy -o DX.npy --mean M.npy --invstd I.npy [options]",
    .text = "From X, the statistics that forward saved and the gradient DY of its output, computes "
            "the\n"
            "gradient of X, and of scale, shift and the added array where asked for.\n",
    .examples =
        "  clnorm forward x.npy -o y.npy --scale g.npy --relu --save-mean m.npy --save-invstd "
        "i.npy\n"
        "  clnorm backward x.npy dy.npy -o dx.npy --mean m.npy --invstd i.npy --scale g.npy \\\n"
        "      --relu --y y.npy --dscale dg.npy --dshift db.npy\n",
    .options = options,
    .option_count = ROWS(options),
    .run = run,
};
