#include "arrays.h"
#include "commands.h"

static const struct option options[] = {
    ARRAY_OPTION("X.npy", OPTION_INPUT, x, "F",
                 "the array to normalise, two or more axes: f2, f4 or f8", .required = 1),
    ARRAY_OUTPUT("-o", output, "the normalised array", .required = 1),
    ARRAY_OPTION_LAYOUT,
    ARRAY_OPTION_DEVICE,
    ARRAY_OPTION_EPSILON,
    ARRAY_INPUT("--scale", scale, "multiply by these, one value for each channel (gamma)"),
    ARRAY_INPUT("--shift", shift, "then add these, one value for each channel (beta)"),
    ARRAY_INPUT("--add", add, "then add this array, shaped like X (a residual connection)"),
    ARRAY_OPTION("--relu", OPTION_FLAG, relu, "", "then replace negative values by 0"),
    ARRAY_INPUT("--running-mean", running_mean, "running mean before this batch",
                .needs = "--running-var"),
    ARRAY_INPUT("--running-var", running_var, "running variance before this batch",
                .needs = "--running-mean"),
    ARRAY_OUTPUT("--new-running-mean", new_running_mean, "running mean after this batch",
                 .needs = "--running-mean"),
    ARRAY_OUTPUT("--new-running-var", new_running_var, "running variance after this batch",
                 .needs = "--running-var"),
    ARRAY_OPTION("--momentum", OPTION_NUMBER, momentum, "A",
                 "weight of this batch in running values (default 0.1)",
                 .expects = "a number above 0 and up to 1, such as 0.1", .needs = "--running-mean",
                 .low = 1e-30, .high = 1),
    ARRAY_OPTION("--biased", OPTION_FLAG, biased, "",
                 "running variance with M instead of M-1 (as ONNX and Keras)",
                 .needs = "--running-var"),
    ARRAY_OUTPUT("--save-mean", save_mean, "the batch's mean, for backward"),
    ARRAY_OUTPUT("--save-invstd", save_invstd,
                 "the batch's 1/sqrt(variance + epsilon), for backward"),
};

static const struct array_file files[] = {
    ARRAY_FILE("X.npy", x, "x", TENSOR_IN, 0),
    ARRAY_FILE("--scale", scale, "scale", PARAMETER_IN, CLNORM_SCALE),
    ARRAY_FILE("--shift", shift, "shift", PARAMETER_IN, CLNORM_SHIFT),
    ARRAY_FILE("--add", add, "add", TENSOR_IN, CLNORM_ADD),
    ARRAY_FILE("--running-mean", running_mean, "running_mean", PARAMETER_IN, CLNORM_RUNNING),
    ARRAY_FILE("--running-var", running_var, "running_var", PARAMETER_IN, CLNORM_RUNNING),
    ARRAY_FILE("-o", output, "y", TENSOR_OUT, 0),
    ARRAY_FILE("--save-mean", save_mean, "mean", PARAMETER_OUT, 0),
    ARRAY_FILE("--save-invstd", save_invstd, "invstd", PARAMETER_OUT, 0),
    ARRAY_FILE("--new-running-mean", new_running_mean, "running_mean", PARAMETER_OUT, 0),
    ARRAY_FILE("--new-running-var", new_running_var, "running_var", PARAMETER_OUT, 0),
};

static int run(const struct command *self, int argc, char **argv)
{
    struct array_settings settings = array_settings_default();
    const int status = options_parse(self, argc, argv, &settings);
    if (status != 0)
        return status;
    const uint32_t flags =
        (settings.relu ? CLNORM_RELU : 0u) | (settings.biased ? CLNORM_BIASED : 0u);
    return array_command(CLNORM_FORWARD, flags, files, ROWS(files), &settings);
}

const struct command command_forward = {
    .name = "forward",
    .summary = "normalise an array by its own mean and variance (training)",
    .synopsis = "X.npy -o Y.npy [options]",
    .text =
        "Normalises each channel of X by the mean and variance of this batch:\n"
        "y = (x - mean)/sqrt(var + epsilon)*scale + shift, then --add, then --relu. All files are\n"
        ".npy files; outputs appear together, or none does.\n",
    .examples =
        "  clnorm forward x.npy -o y.npy --scale gamma.npy --shift beta.npy --relu\n"
        "  clnorm forward x.npy -o y.npy --layout nhwc --save-mean m.npy --save-invstd i.npy\n"
        "  clnorm forward x.npy -o y.npy --running-mean rm.npy --running-var rv.npy \\\n"
        "      --new-running-mean rm.npy --new-running-var rv.npy --momentum 0.1\n"
        "  make-batch | clnorm forward - -o - | train-step\n",
    .options = options,
    .option_count = ROWS(options),
    .run = run,
};
