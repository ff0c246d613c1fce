// A C++ program that uses an installed clnorm: the headers compile as C++ and the functions link.
#include <clnorm/clnorm.h>

#include <cstdlib>
#include <string>

int main()
{
    clnorm_problem problem;
    if (clnorm_problem_parse("infer nhwc f32 ?x8x4x4 +relu", &problem, nullptr, 0) != CLNORM_OK)
        return 1;
    char text[CLNORM_PROBLEM_TEXT_SIZE];
    clnorm_problem_format(&problem, text);
    clnorm_device *devices = nullptr;
    std::size_t count = 0;
    const clnorm_status status = clnorm_devices_list(&devices, &count);
    std::free(devices);
    return status == CLNORM_OK && count > 0 && std::string(text) == "infer nhwc f32 ?x8x16 +relu"
               ? 0
               : 1;
}
