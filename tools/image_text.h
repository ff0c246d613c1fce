/* What an image's text, as 'clnorm emit --image' prints it, says about itself. */
#ifndef CLNORM_TOOLS_IMAGE_TEXT_H
#define CLNORM_TOOLS_IMAGE_TEXT_H

#include <clnorm/codegen.h>

/* A program to make, and under which schedule. */
struct request {
    struct clnorm_problem problem;
    struct clnorm_schedule schedule;
};

/*
 * The problems and schedules of the texts in a file, in order, malloc'd; it may hold anything else.
 * fail's line, and the exit status, when it has none, or one of another version.
 */
int image_text_read(const char *path, struct request **requests, size_t *count);

#endif
