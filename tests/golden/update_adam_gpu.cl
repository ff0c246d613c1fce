// clnorm 0.1.0
// update nchw f32 ?x64x? +scale +shift +adam
// gpu: walk=group lanes=1 group=256 tile=1 block=32 parts=128 resident=131072 stream=0 fetch=0 baked=0

#define CHANNELS 64
#define FINISH_GROUP 64
#define STATES 2
#define real float

// Rounding happens where it is written: sums that keep what they lose must not be rearranged or
// fused.
#pragma OPENCL FP_CONTRACT OFF

// ---- Optimiser: one step for one parameter ----

typedef struct {
    real learning_rate, weight_decay, weight1, weight2, correction1, correction2, adam_epsilon;
} optimiser;

// Kingma and Ba, "Adam: a method for stochastic optimization" (2014), algorithm 1. Weights are
// 1 - beta and corrections 1 / (1 - beta^step), from the host: here they would lose digits.
void optimise(
    const optimiser by, global real *parameter, const real gradient, global real *state,
    const ulong channel)
{
    const real slope = gradient + by.weight_decay * parameter[channel];
    const real first = state[channel] + by.weight1 * (slope - state[channel]);
    const real before = state[CHANNELS + channel];
    const real second = before + by.weight2 * (slope * slope - before);
    state[channel] = first;
    state[CHANNELS + channel] = second;
    const real root = sqrt(second * by.correction2) + by.adam_epsilon;
    parameter[channel] -= by.learning_rate * (first * by.correction1) / root;
}

// ---- Kernel. Every buffer comes with an offset in elements; the local size is fixed ----

// One work-item a channel.
kernel __attribute__((reqd_work_group_size(FINISH_GROUP, 1, 1)))
void finish(
    global real *scale, const ulong scale_offset,
    global const real *dscale, const ulong dscale_offset,
    global real *shift, const ulong shift_offset,
    global const real *dshift, const ulong dshift_offset,
    const real learning_rate, const real weight_decay, const real weight1, const real weight2,
    const real correction1, const real correction2, const real adam_epsilon,
    global real *state, const ulong state_offset)
{
    const ulong channel = get_global_id(0);
    if (channel >= CHANNELS)
        return;
    const optimiser by = {
        learning_rate, weight_decay, weight1, weight2, correction1, correction2, adam_epsilon
    };
    state += state_offset;
    optimise(by, scale + scale_offset, dscale[dscale_offset + channel], state, channel);
    state += (ulong)STATES * CHANNELS;
    optimise(by, shift + shift_offset, dshift[dshift_offset + channel], state, channel);
}
