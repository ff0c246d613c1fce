/* A program that uses the installed generator alone: no OpenCL at build time, link time or run time. */
#include <clnorm/codegen.h>

#include <string.h>

#ifdef CL_VERSION_1_0
#error "codegen.h must not include OpenCL"
#endif

int main(void)
{
    const struct clnorm_target target = clnorm_target_default(CLNORM_KIND_GPU);
    struct clnorm_problem problem;
    struct clnorm_schedule schedule;
    struct clnorm_source source;
    if (clnorm_problem_parse("forward nhwc f16 ?x64x7x7", &problem, NULL, 0) != CLNORM_OK ||
        !clnorm_schedule_choose(&problem, &target, 0, &schedule) ||
        clnorm_source_emit(&problem, &schedule, &source, NULL, 0) != CLNORM_OK)
        return 1;
    const int right = strstr(source.text, "kernel") != NULL && strlen(source.text) == source.length;
    clnorm_source_free(&source);
    return right ? 0 : 1;
}
