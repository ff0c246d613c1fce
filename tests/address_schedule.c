#include "addresses.h"

#include <stdio.h>
#include <string.h>

/* Groups of one work-item, which handles one value at once: what a host can run without emulating
 * barriers and vectors. */
static const struct {
    const char *walk;
    struct clnorm_schedule schedule;
} walks[] = {
    {"serial",
     {.walk = CLNORM_WALK_SERIAL, .lanes = 1, .group = 1, .tile = 1, .block = 16, .parts = 8}},
    {"tile",
     {.walk = CLNORM_WALK_SERIAL, .lanes = 1, .group = 1, .tile = 4, .block = 16, .parts = 8}},
    {"group",
     {.walk = CLNORM_WALK_GROUP, .lanes = 1, .group = 1, .tile = 1, .block = 16, .parts = 8}},
    {"pipeline",
     {.walk = CLNORM_WALK_PIPELINE, .lanes = 1, .group = 1, .tile = 4, .block = 16, .parts = 1}},
};
enum { WALK_COUNT = sizeof walks / sizeof *walks };

int address_schedule(const char *text, const char *walk, struct clnorm_problem *problem,
                     struct clnorm_schedule *schedule)
{
    char message[256] = "no such walk";
    if (clnorm_problem_parse(text, problem, message, sizeof message) == CLNORM_OK)
        for (unsigned i = 0; i < WALK_COUNT; i++)
            if (strcmp(walk, walks[i].walk) == 0) {
                *schedule = walks[i].schedule;
                return 1;
            }
    fprintf(stderr, "%s, %s: %s\n", text, walk, message);
    return 0;
}
