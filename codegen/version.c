#include <clnorm/codegen.h>

const char *clnorm_version(void)
{
    return CLNORM_VERSION_STRING;
}

static const char *const status_text[] = {
    [CLNORM_OK] = "done",
    [CLNORM_INVALID_ARGUMENT] = "invalid argument",
    [CLNORM_UNSUPPORTED] = "not supported on this device",
    [CLNORM_NO_DEVICE] = "no OpenCL device found",
    [CLNORM_OUT_OF_MEMORY] = "out of memory",
    [CLNORM_BUILD_FAILED] = "the device's compiler failed",
    [CLNORM_DEVICE_FAILED] = "the device failed",
    [CLNORM_IO_FAILED] = "a file could not be read or written",
    [CLNORM_COMMUNICATION_FAILED] = "a message between ranks did not get through",
};

const char *clnorm_status_text(enum clnorm_status status)
{
    const unsigned index = (unsigned)status;
    return index < sizeof status_text / sizeof *status_text ? status_text[index] : "unknown status";
}
