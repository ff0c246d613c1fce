/* What the network needs besides matrix products (CLBlast) and batch normalization (clnorm). All row-major f32. */

/* A batch: rows order[first], order[first + 1], ... of the images, from bytes to 0..1. */
kernel void gather(global const uchar *images, global const uint *order, ulong first, uint width, global float *x)
{
    const size_t column = get_global_id(0), row = get_global_id(1);
    x[row * width + column] = images[order[first + row] * (size_t)width + column] / 255.0f;
}

/* y += bias, and with `relu` y = max(y, 0). */
kernel void add_bias(global float *y, global const float *bias, uint width, int relu)
{
    const size_t column = get_global_id(0), i = get_global_id(1) * width + column;
    const float value = y[i] + bias[column];
    y[i] = relu ? fmax(value, 0.0f) : value;
}

kernel void relu_gradient(global float *gradient, global const float *y)
{
    const size_t i = get_global_id(0);
    gradient[i] = y[i] > 0.0f ? gradient[i] : 0.0f;
}

/* target += factor * the gradient's column sums. */
kernel void add_rows(global float *target, global const float *gradient, uint rows, uint width, float factor)
{
    const size_t column = get_global_id(0);
    float sum = 0.0f;
    for (size_t row = 0; row < rows; row++)
        sum += gradient[row * width + column];
    target[column] += factor * sum;
}

/* Softmax, cross-entropy loss, hit or miss, and the gradient of the mean loss of `whole` rows: one work-item a row. */
kernel void softmax(global const float *logits, global const uchar *labels, global const uint *order, ulong first,
                    uint width, uint whole, global float *gradient, global float *losses, global float *hits)
{
    const size_t row = get_global_id(0);
    global const float *z = logits + row * width;
    const uint label = labels[order[first + row]];
    uint best = 0;
    for (uint j = 1; j < width; j++)
        best = z[j] > z[best] ? j : best;
    float sum = 0.0f;
    for (uint j = 0; j < width; j++)
        sum += exp(z[j] - z[best]);
    for (uint j = 0; j < width; j++)
        gradient[row * width + j] = (exp(z[j] - z[best]) / sum - (j == label)) / whole;
    losses[first + row] = log(sum) - (z[label] - z[best]);
    hits[first + row] = best == label;
}

/* clnorm's moments (count, mean, rest, m2; each `width` long) to the unbiased variance. */
kernel void variance(global const float *moments, global float *var)
{
    const size_t channel = get_global_id(0), width = get_global_size(0);
    var[channel] = moments[3 * width + channel] / fmax(moments[channel] - 1.0f, 1.0f);
}
