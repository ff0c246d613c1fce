#include "addresses.h"

#include <stdio.h>
#include <string.h>

/* The table's plain row. */
static int plain(const struct clnorm_problem *problem, struct clnorm_schedule *schedule)
{
    const struct clnorm_target target = clnorm_target_default(CLNORM_KIND_CPU);
    for (unsigned i = 0; clnorm_schedule_choose(problem, &target, i, schedule); i++)
        if (strcmp(schedule->name, "plain") == 0)
            return 1;
    return 0;
}

/* A group of one work-item: what a host can run without emulating barriers. */
static const struct clnorm_schedule group_of_one = {
    .walk = CLNORM_WALK_GROUP,
    .lanes = 1,
    .group = 1,
    .tile = 1,
    .block = 16,
    .parts = 8,
};

int address_schedule(const char *text, const char *walk, struct clnorm_problem *problem,
                     struct clnorm_schedule *schedule)
{
    char message[256] = "no such schedule";
    if (clnorm_problem_parse(text, problem, message, sizeof message) == CLNORM_OK) {
        *schedule = group_of_one;
        if (strcmp(walk, "group") == 0 || plain(problem, schedule))
            return 1;
    }
    fprintf(stderr, "%s, %s: %s\n", text, walk, message);
    return 0;
}
