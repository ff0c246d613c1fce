#include "options.h"

#include <string.h>

int clnorm__options_copy(void *to, size_t full, const void *from, const size_t *sizes)
{
    size_t size;
    memcpy(&size, from, sizeof size);
    while (*sizes && *sizes != size)
        sizes++;
    if (!*sizes && size != full)
        return 0;
    memset(to, 0, full);
    memcpy(to, from, size);
    memcpy(to, &full, sizeof full);
    return 1;
}
