/* What specialises the kernel files: symbols that are resolved, and values that stay as #define
 * lines. */
#ifndef CLNORM_CODEGEN_EMIT_H
#define CLNORM_CODEGEN_EMIT_H

#include <clnorm/codegen.h>

#include "specialise.h"

enum { CLNORM__SYMBOL_CAPACITY = 64, CLNORM__VALUE_CAPACITY = 64 };

struct clnorm__value {
    char name[24];
    char text[88];
};

struct clnorm__values_list {
    struct clnorm__value value[CLNORM__VALUE_CAPACITY];
    unsigned count;
};

/* The symbols of a valid problem and schedule, ended by a NULL name. */
void clnorm__emit_symbols(const struct clnorm_problem *problem,
                          const struct clnorm_schedule *schedule,
                          struct clnorm__symbol symbols[CLNORM__SYMBOL_CAPACITY]);

/* The values; the text defines those that it uses. */
struct clnorm__values_list clnorm__emit_values(const struct clnorm_problem *problem,
                                               const struct clnorm_schedule *schedule);

#endif
