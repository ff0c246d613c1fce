#include "run.h"

#include <string.h>

/* The level of the whole tree. */
static int height(int64_t shares)
{
    int level = 0;
    while (level < 62 && (INT64_C(1) << level) < shares)
        level++;
    return level;
}

/* The largest node that starts at `first` and covers no share from `end` on. */
static int widest_level(int64_t shares, int64_t first, int64_t end)
{
    const int top = height(shares);
    const int64_t limit = end == shares ? INT64_C(1) << top : end;
    int level = 0;
    while (level < top && first % (INT64_C(2) << level) == 0 &&
           first + (INT64_C(2) << level) <= limit)
        level++;
    return level;
}

size_t clnorm__run_nodes(int64_t shares, int64_t first, int64_t end)
{
    size_t count = 0;
    for (; first < end; count++)
        first += INT64_C(1) << widest_level(shares, first, end);
    return count;
}

size_t clnorm__run_room(int64_t shares)
{
    return 2 * (size_t)height(shares) + 2;
}

static void merge_sums(const struct clnorm__record *record, unsigned char *left,
                       const unsigned char *right)
{
    for (int64_t i = 0; i < 2 * record->channels; i++) {
        if (record->dtype == CLNORM_F64) {
            double a, b;
            memcpy(&a, left + (size_t)i * sizeof a, sizeof a);
            memcpy(&b, right + (size_t)i * sizeof b, sizeof b);
            a += b;
            memcpy(left + (size_t)i * sizeof a, &a, sizeof a);
        } else {
            float a, b;
            memcpy(&a, left + (size_t)i * sizeof a, sizeof a);
            memcpy(&b, right + (size_t)i * sizeof b, sizeof b);
            a += b;
            memcpy(left + (size_t)i * sizeof a, &a, sizeof a);
        }
    }
}

/* Into the left one. Moments are merged in f64, and rounded to what a record holds each time. */
static void merge(struct clnorm__record *record, unsigned char *left, const unsigned char *right)
{
    if (record->operation == CLNORM_BACKWARD_SUMS) {
        merge_sums(record, left, right);
        return;
    }
    clnorm_moments_unpack(&record->left, record->dtype, left);
    clnorm_moments_unpack(&record->right, record->dtype, right);
    clnorm_moments_merge(&record->left, &record->right);
    clnorm_moments_pack(&record->left, record->dtype, left);
}

/* Whether the last node has a sibling on its right that is beyond all shares. */
static int is_alone(const struct clnorm__run *run, const struct clnorm__node *last)
{
    const int64_t width = INT64_C(1) << last->level;
    return last->level < height(run->shares) && last->first / width % 2 == 0 &&
           last->first + width >= run->shares;
}

/* Whether the last two nodes are siblings. */
static int are_siblings(const struct clnorm__run *run, const struct clnorm__node *last)
{
    const int64_t width = INT64_C(1) << last->level;
    return run->count > 1 && last->first / width % 2 == 1 && last[-1].level == last->level;
}

static void append_node(struct clnorm__run *run, struct clnorm__node node, const void *data)
{
    const size_t bytes = run->record->bytes;
    memcpy(run->records + run->count * bytes, data, bytes);
    run->nodes[run->count++] = node;
    for (;;) {
        struct clnorm__node *const last = &run->nodes[run->count - 1];
        if (is_alone(run, last)) {
            last->level++;
        } else if (are_siblings(run, last)) {
            unsigned char *const right = run->records + (run->count - 1) * bytes;
            merge(run->record, right - bytes, right);
            last[-1].level++;
            run->count--;
        } else {
            return;
        }
    }
}

void clnorm__run_append(struct clnorm__run *run, int64_t first, int64_t end, const void *records)
{
    const unsigned char *at = records;
    while (first < end) {
        const struct clnorm__node node = {first, widest_level(run->shares, first, end)};
        append_node(run, node, at);
        at += run->record->bytes;
        first += INT64_C(1) << node.level;
    }
}
