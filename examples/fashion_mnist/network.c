#include "network.h"

#include <math.h>
#include <stdlib.h>

#include "random.h"

static const size_t widths[LAYERS + 1] = {PIXELS, 256, 256, CLASSES};

static cl_mem random_weights(const struct device *device, size_t inputs, size_t outputs,
                             uint64_t *random)
{
    const size_t bytes = inputs * outputs * sizeof(cl_float);
    cl_float *const values = allocate(bytes);
    for (size_t i = 0; i < inputs * outputs; i++)
        values[i] = (cl_float)(random_normal(random) * sqrt(2.0 / (double)inputs));
    const cl_mem memory = device_buffer(device, bytes, values);
    free(values);
    return memory;
}

struct network network_create(const struct device *device, int normalised, size_t batch,
                              size_t images, uint64_t seed)
{
    struct network network = {
        .device = device,
        .normalised = normalised,
        .batch = batch,
        .images = images,
        .input = device_zeros(device, batch * PIXELS),
        .losses = device_zeros(device, images),
        .hits = device_zeros(device, images),
    };
    uint64_t random = seed;
    for (int i = 0; i < LAYERS; i++) {
        struct layer *const layer = &network.layers[i];
        const int has_norm = normalised && i < HIDDEN;
        layer->inputs = widths[i];
        layer->outputs = widths[i + 1];
        layer->weights = random_weights(device, layer->inputs, layer->outputs, &random);
        layer->bias = has_norm ? NULL : device_zeros(device, layer->outputs);
        layer->product = device_zeros(device, batch * layer->outputs);
        layer->output = has_norm ? device_zeros(device, batch * layer->outputs) : layer->product;
        layer->gradient = device_zeros(device, batch * layer->outputs);
        if (has_norm) /* the last one shows the optimiser's step as a run of its own */
            network.normalisations[i] = normalisation_create(
                device, layer->outputs, batch, (images + batch - 1) / batch, i < HIDDEN - 1);
    }
    return network;
}

void network_release(struct network *network)
{
    for (int i = 0; i < LAYERS; i++) {
        const struct layer *const layer = &network->layers[i];
        clReleaseMemObject(layer->weights);
        clReleaseMemObject(layer->product);
        clReleaseMemObject(layer->gradient);
        if (layer->bias)
            clReleaseMemObject(layer->bias);
        if (layer->output != layer->product)
            clReleaseMemObject(layer->output);
        if (network->normalised && i < HIDDEN)
            normalisation_release(&network->normalisations[i]);
    }
    clReleaseMemObject(network->input);
    clReleaseMemObject(network->losses);
    clReleaseMemObject(network->hits);
}

/* result (m x n) = alpha * a * b + beta * result, row-major; `at` counts floats. */
static void multiply(const struct device *device, size_t m, size_t n, size_t k, float alpha,
                     CLBlastTranspose turn_a, cl_mem a, CLBlastTranspose turn_b, cl_mem b,
                     float beta, cl_mem result, size_t at)
{
    cl_command_queue queue = device->queue;
    if (m == 0 || n == 0 || k == 0)
        return;
    const CLBlastStatusCode code =
        CLBlastSgemm(CLBlastLayoutRowMajor, turn_a, turn_b, m, n, k, alpha, a, 0,
                     turn_a == CLBlastTransposeNo ? k : m, b, 0,
                     turn_b == CLBlastTransposeNo ? n : k, beta, result, at, n, &queue, NULL);
    if (code != CLBlastSuccess)
        die("CLBlastSgemm failed with status %d", (int)code);
}

/* input * transposed weights, into `product` from row `row`. */
static void multiply_weights(const struct network *network, const struct layer *layer, size_t rows,
                             cl_mem input, cl_mem product, size_t row)
{
    multiply(network->device, rows, layer->outputs, layer->inputs, 1, CLBlastTransposeNo, input,
             CLBlastTransposeYes, layer->weights, 0, product, row * layer->outputs);
}

static void gather(const struct network *network, const struct dataset *dataset, size_t first,
                   size_t rows)
{
    const cl_ulong start = first;
    const cl_uint width = PIXELS;
    const struct argument arguments[] = {
        {sizeof(cl_mem), &dataset->images},
        {sizeof(cl_mem), &dataset->order},
        {sizeof start, &start},
        {sizeof width, &width},
        {sizeof(cl_mem), &network->input},
    };
    device_run(network->device, GATHER, PIXELS, rows, arguments, 5);
}

static void add_bias(const struct network *network, const struct layer *layer, size_t rows,
                     cl_int relu)
{
    const cl_uint width = (cl_uint)layer->outputs;
    const struct argument arguments[] = {
        {sizeof(cl_mem), &layer->product},
        {sizeof(cl_mem), &layer->bias},
        {sizeof width, &width},
        {sizeof relu, &relu},
    };
    device_run(network->device, ADD_BIAS, layer->outputs, rows, arguments, 4);
}

/* The gradients are those of the mean loss of `whole` rows. */
static void softmax(const struct network *network, const struct dataset *dataset, size_t first,
                    size_t rows, size_t whole)
{
    const struct layer *const last = &network->layers[LAYERS - 1];
    const cl_ulong start = first;
    const cl_uint width = CLASSES, all = (cl_uint)whole;
    const struct argument arguments[] = {
        {sizeof(cl_mem), &last->product},
        {sizeof(cl_mem), &dataset->labels},
        {sizeof(cl_mem), &dataset->order},
        {sizeof start, &start},
        {sizeof width, &width},
        {sizeof all, &all},
        {sizeof(cl_mem), &last->gradient},
        {sizeof(cl_mem), &network->losses},
        {sizeof(cl_mem), &network->hits},
    };
    device_run(network->device, SOFTMAX, rows, 1, arguments, 9);
}

enum mode { TRAINING, TESTING };

static void forward(const struct network *network, const struct dataset *dataset, size_t first,
                    size_t rows, size_t whole, enum mode mode, enum statistics statistics)
{
    gather(network, dataset, first, rows);
    cl_mem input = network->input;
    for (int i = 0; i < LAYERS; i++) {
        const struct layer *const layer = &network->layers[i];
        const struct normalisation *const norm = &network->normalisations[i < HIDDEN ? i : 0];
        multiply_weights(network, layer, rows, input, layer->product, 0);
        if (layer->bias)
            add_bias(network, layer, rows, i < HIDDEN);
        else if (mode == TRAINING)
            normalisation_forward(norm, network->device, rows, layer->product, layer->output);
        else
            normalisation_infer(norm, network->device, statistics, rows, layer->product, 0,
                                layer->output);
        input = layer->output;
    }
    softmax(network, dataset, first, rows, whole);
}

static void relu_gradient(const struct network *network, const struct layer *layer, size_t rows)
{
    const struct argument arguments[] = {{sizeof(cl_mem), &layer->gradient},
                                         {sizeof(cl_mem), &layer->output}};
    device_run(network->device, RELU_GRADIENT, rows * layer->outputs, 1, arguments, 2);
}

static void step_bias(const struct network *network, const struct layer *layer, size_t rows,
                      double rate)
{
    const struct step step = batch_step_begin(network->device, layer->bias, layer->outputs, rate);
    const cl_uint height = (cl_uint)rows, width = (cl_uint)layer->outputs;
    const struct argument arguments[] = {
        {sizeof(cl_mem), &step.target},     {sizeof(cl_mem), &layer->gradient},
        {sizeof height, &height},           {sizeof width, &width},
        {sizeof step.factor, &step.factor},
    };
    device_run(network->device, ADD_ROWS, layer->outputs, 1, arguments, 5);
    batch_step_end(network->device, step, layer->bias, layer->outputs, rate);
}

/* weights -= rate * transposed gradient * input: the product and the step in one */
static void step_weights(const struct network *network, const struct layer *layer, size_t rows,
                         cl_mem input, double rate)
{
    const size_t count = layer->outputs * layer->inputs;
    const struct step step = batch_step_begin(network->device, layer->weights, count, rate);
    multiply(network->device, layer->outputs, layer->inputs, rows, step.factor, CLBlastTransposeYes,
             layer->gradient, CLBlastTransposeNo, input, 1, step.target, 0);
    batch_step_end(network->device, step, layer->weights, count, rate);
}

/* From the gradient of a layer's output to that of its product. */
static void backward_activation(const struct network *network, int i, size_t rows, double rate)
{
    const struct layer *const layer = &network->layers[i];
    if (layer->bias)
        relu_gradient(network, layer, rows);
    else
        normalisation_backward(&network->normalisations[i], network->device, rows, layer->product,
                               layer->output, layer->gradient, rate);
}

static void backward(const struct network *network, size_t rows, double rate)
{
    for (int i = LAYERS - 1; i >= 0; i--) {
        const struct layer *const layer = &network->layers[i];
        const struct layer *const below = i ? &network->layers[i - 1] : NULL;
        if (i < HIDDEN)
            backward_activation(network, i, rows, rate);
        if (layer->bias)
            step_bias(network, layer, rows, rate);
        if (below) /* before the weights move */
            multiply(network->device, rows, layer->inputs, layer->outputs, 1, CLBlastTransposeNo,
                     layer->gradient, CLBlastTransposeNo, layer->weights, 0, below->gradient, 0);
        step_weights(network, layer, rows, below ? below->output : network->input, rate);
    }
}

void network_train(struct network *network, const struct dataset *dataset, size_t first,
                   size_t rows, double rate)
{
    const struct part part = batch_part(network->device, rows);
    forward(network, dataset, first + part.first, part.rows, rows, TRAINING, RUNNING);
    backward(network, part.rows, rate);
}

void network_test(struct network *network, const struct dataset *dataset, size_t first, size_t rows,
                  enum statistics statistics)
{
    forward(network, dataset, first, rows, rows, TESTING, statistics);
}

/*
 * A layer's statistics need the outputs of the layer below for the whole training set, normalised with that layer's
 * final statistics. So all products of a layer are kept, and the next layer's, as wide, overwrite them batch by batch.
 */
void network_gather_statistics(struct network *network, const struct dataset *dataset)
{
    const struct device *const device = network->device;
    const size_t sets = (dataset->count + network->batch - 1) / network->batch;
    const cl_mem products = device_zeros(device, dataset->count * widths[1]);
    for (int i = 0; i < HIDDEN; i++) {
        const struct layer *const layer = &network->layers[i], *const below =
                                                                   i ? &network->layers[i - 1]
                                                                     : NULL;
        for (size_t set = 0; set < sets; set++) {
            const size_t first = set * network->batch;
            const size_t rows =
                dataset->count - first < network->batch ? dataset->count - first : network->batch;
            const size_t offset = first * layer->outputs * sizeof(cl_float);
            if (below)
                normalisation_infer(&network->normalisations[i - 1], device, POPULATION, rows,
                                    products, offset, below->output);
            else
                gather(network, dataset, first, rows);
            multiply_weights(network, layer, rows, below ? below->output : network->input, products,
                             first);
            normalisation_count(&network->normalisations[i], device, set, rows, products, offset);
        }
        normalisation_merge(&network->normalisations[i], device, sets);
    }
    clReleaseMemObject(products);
}
