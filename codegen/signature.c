#include "signature.h"
#include "text.h"

#include <stdio.h>
#include <string.h>

static const char *const step_names[CLNORM_STEP_COUNT] = {
    [CLNORM_STEP_REDUCE] = "reduce",
    [CLNORM_STEP_FINISH] = "finish",
    [CLNORM_STEP_MAP] = "map",
    [CLNORM_STEP_FUSED] = "fused",
};

/* Where the argument list of a kernel starts in the text, behind the parenthesis; NULL when there
 * is no such kernel. */
static const char *find_arguments(const char *text, const char *name)
{
    char opening[48];
    snprintf(opening, sizeof opening, "\nvoid %s(", name);
    for (const char *at = text; (at = strstr(at, "\nkernel ")) != NULL; at++) {
        const char *const line = strchr(at + 1, '\n');
        if (line && strncmp(line, opening, strlen(opening)) == 0)
            return line + strlen(opening);
    }
    return NULL;
}

/* The name of an argument is the last word before the comma or parenthesis that ends it. */
static int read_arguments(const char *at, struct clnorm_kernel *kernel)
{
    for (;; at++) {
        const char *const end = at + strcspn(at, ",)");
        const char *start = end;
        while (clnorm__is_word(start[-1]))
            start--;
        const size_t length = (size_t)(end - start);
        if (kernel->arguments == CLNORM_MAX_KERNEL_ARGUMENTS ||
            length >= sizeof kernel->argument[0])
            return 0;
        memcpy(kernel->argument[kernel->arguments], start, length);
        kernel->argument[kernel->arguments++][length] = 0;
        if (*end != ',')
            return *end == ')';
        at = end;
    }
}

int clnorm__signatures_read(const char *text, struct clnorm_kernel kernels[CLNORM_STEP_COUNT])
{
    for (unsigned i = 0; i < CLNORM_STEP_COUNT; i++) {
        kernels[i] = (struct clnorm_kernel){.step = (enum clnorm_step)i};
        snprintf(kernels[i].name, sizeof kernels[i].name, "%s", step_names[i]);
        const char *const arguments = find_arguments(text, step_names[i]);
        if (arguments && !read_arguments(arguments, &kernels[i]))
            return 0;
    }
    return 1;
}
