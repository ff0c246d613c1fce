/* Allocations that fail when a test says so. Link with failing_memory.c and with malloc, calloc and realloc wrapped
 * (--wrap), so that the library's calls, but not the driver's, come there: clnorm_memory_test in CMakeLists.txt. */
#ifndef CLNORM_FAILING_MEMORY_H
#define CLNORM_FAILING_MEMORY_H

struct failing_memory {
    unsigned made;  /* allocations so far */
    unsigned fails; /* the number of the one that fails, from 1; 0: none */
    int for_good;   /* and all after it */
};

extern struct failing_memory memory;

#endif
