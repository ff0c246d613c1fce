/* What the library is asked to do while calls fail. */
#ifndef CLNORM_FAILURES_SCENARIOS_H
#define CLNORM_FAILURES_SCENARIOS_H

#include "stage.h"

struct scenario {
    const char *name;
    /* Whose stage->context is: made by the scenario, new for each try, or one for all tries. */
    enum { CONTEXT_OWN, CONTEXT_NEW, CONTEXT_KEPT } context;
    enum cache cache;
    enum work work;
    unsigned manner;
    /*
     * Calls the library, watched, up to the first call that fails, releases what it made, and
     * returns the status; stage->text and stage->wrong as stage_run.
     */
    enum clnorm_status (*act)(struct stage *stage, const struct scenario *scenario);
    /* A failure's text names the call; or there is none; or there is one even where all is well. */
    enum { TELLS, SILENT, REFUSES } text;
};

extern const struct scenario scenarios[];
extern const unsigned scenario_count;

/* tensors.c: one tensor in two contexts, each with work of the other to wait for. */
enum clnorm_status use_tensor(struct stage *stage, const struct scenario *scenario);

#endif
