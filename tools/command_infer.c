#include "arrays.h"
#include "commands.h"
#include "message.h"

static const struct option options[] = {
    ARRAY_OPTION("X.npy", OPTION_INPUT, x, "F",
                 "the array to normalise, two or more axes: f2, f4 or f8", .required = 1),
    ARRAY_OUTPUT("-o", output, "the normalised array", .required = 1),
    ARRAY_INPUT("--mean", mean, "mean, one value for each channel", .needs = "--var"),
    ARRAY_INPUT("--var", var, "variance, one value for each channel", .needs = "--mean"),
    ARRAY_INPUT("--statistics", statistics, "in place of these: what 'clnorm moments' wrote"),
    ARRAY_OPTION("--biased", OPTION_FLAG, biased, "",
                 "take the variance of the statistics with M instead of M-1",
                 .needs = "--statistics"),
    ARRAY_OPTION_LAYOUT,
    ARRAY_OPTION_DEVICE,
    ARRAY_OPTION_EPSILON,
    ARRAY_INPUT("--scale", scale, "multiply by these, one value for each channel (gamma)"),
    ARRAY_INPUT("--shift", shift, "then add these, one value for each channel (beta)"),
    ARRAY_INPUT("--add", add, "then add this array, shaped like X (a residual connection)"),
    ARRAY_OPTION("--relu", OPTION_FLAG, relu, "", "then replace negative values by 0"),
};

static const struct array_file files[] = {
    ARRAY_FILE("X.npy", x, "x", TENSOR_IN, 0),
    ARRAY_FILE("--mean", mean, "mean", PARAMETER_IN, 0),
    ARRAY_FILE("--var", var, "var", PARAMETER_IN, 0),
    ARRAY_FILE("--statistics", statistics, "", STATISTICS_IN, 0),
    ARRAY_FILE("--scale", scale, "scale", PARAMETER_IN, CLNORM_SCALE),
    ARRAY_FILE("--shift", shift, "shift", PARAMETER_IN, CLNORM_SHIFT),
    ARRAY_FILE("--add", add, "add", TENSOR_IN, CLNORM_ADD),
    ARRAY_FILE("-o", output, "y", TENSOR_OUT, 0),
};

static int run(const struct command *self, int argc, char **argv)
{
    struct array_settings settings = array_settings_default();
    const int status = options_parse(self, argc, argv, &settings);
    if (status != 0)
        return status;
    if (!settings.mean == !settings.statistics)
        return fail(WRONG_USAGE,
                    "give either --mean and --var, or --statistics; usage: clnorm %s "
                    "%s",
                    self->name, self->synopsis);
    return array_command(CLNORM_INFER, settings.relu ? CLNORM_RELU : 0u, files, ROWS(files),
                         &settings);
}

const struct command command_infer = {
    .name = "infer",
    .summary = "normalise an array by a given mean and variance (inference)",
    .synopsis = "X.npy -o Y.npy {--mean M.npy --var V.npy | --statistics S.npy} [options]",
    .text = "Normalises each channel of X by a mean and variance that are known, the running ones "
            "of a\n"
            "trained network, or exact ones that 'clnorm moments' gathered:\n"
            "y = (x - mean)/sqrt(var + epsilon)*scale + shift, then --add, then --relu.\n",
    .examples =
        "  clnorm infer x.npy -o y.npy --mean rm.npy --var rv.npy --scale gamma.npy --shift "
        "beta.npy\n"
        "  clnorm infer x.npy -o y.npy --mean rm.npy --var rv.npy --layout nhwc --epsilon 1e-3\n"
        "  clnorm infer x.npy -o y.npy --statistics population.npy\n",
    .options = options,
    .option_count = ROWS(options),
    .run = run,
};
