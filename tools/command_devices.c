#include "commands.h"
#include "device_run.h"
#include "message.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct settings {
    int json;
};

static const struct option options[] = {
    {"--json", OPTION_FLAG, offsetof(struct settings, json), "", .help = "one JSON object a line"},
};

static void print_device(size_t index, const struct clnorm_device *device)
{
    printf("%zu  %s\n   platform  %s, %s\n   vendor    %s, driver %s, %s\n", index,
           device->device_name, device->platform_name, device->platform_version, device->vendor,
           device->driver, device->version);
    printf("   %s, %" PRIu32 " compute units, groups up to %" PRIu32 ", vectors of %" PRIu32
           " bytes\n",
           clnorm_kind_name(device->target.kind), device->target.compute_units,
           device->target.max_group, device->target.vector_bytes);
    printf("   memory %" PRIu64 " MiB, at once %" PRIu64 " MiB, local %" PRIu64
           " KiB; f64 %s, compiler %s\n",
           device->memory >> 20, device->max_allocation >> 20, device->target.local_memory >> 10,
           device->target.f64 ? "yes" : "no", device->compiler ? "yes" : "no");
    printf("   sub-groups ");
    if (device->target.sub_group > 0)
        printf("of %" PRIu32 " or more", device->target.sub_group);
    else
        printf("no");
    printf(", work-group collectives %s\n", device->target.collectives ? "yes" : "no");
}

static cJSON *device_json(size_t index, const struct clnorm_device *device)
{
    const struct {
        const char *name, *text;
    } texts[] = {
        {"platform", device->platform_name},
        {"platform_version", device->platform_version},
        {"device", device->device_name},
        {"vendor", device->vendor},
        {"version", device->version},
        {"driver", device->driver},
        {"kind", clnorm_kind_name(device->target.kind)},
    };
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {
        {"memory", device->memory},
        {"max_allocation", device->max_allocation},
        {"compute_units", device->target.compute_units},
        {"max_group", device->target.max_group},
        {"vector_bytes", device->target.vector_bytes},
        {"local_memory", device->target.local_memory},
        {"cache", device->target.cache},
        {"sub_group", device->target.sub_group},
    };
    cJSON *const object = cJSON_CreateObject();
    cJSON_AddNumberToObject(object, "index", (double)index);
    for (size_t i = 0; i < ROWS(texts); i++)
        cJSON_AddStringToObject(object, texts[i].name, texts[i].text);
    for (size_t i = 0; i < ROWS(numbers); i++)
        cJSON_AddNumberToObject(object, numbers[i].name, (double)numbers[i].value);
    cJSON_AddBoolToObject(object, "f64", device->target.f64 != 0);
    cJSON_AddBoolToObject(object, "collectives", device->target.collectives != 0);
    cJSON_AddBoolToObject(object, "compiler", device->compiler != 0);
    cJSON_AddBoolToObject(object, "host_memory", device->host_memory != 0);
    return object;
}

static int run(const struct command *self, int argc, char **argv)
{
    struct settings settings = {0};
    int status = options_parse(self, argc, argv, &settings);
    if (status != DONE)
        return status;
    struct clnorm_device *devices = NULL;
    size_t count = 0;
    const enum clnorm_status listed = clnorm_devices_list(&devices, &count);
    if (listed == CLNORM_NO_DEVICE)
        return no_driver_fail();
    if (listed != CLNORM_OK)
        return fail(WORK_FAILED, "cannot list the devices: %s; see that 'clinfo' works",
                    clnorm_status_text(listed));
    for (size_t i = 0; status == DONE && i < count; i++) {
        if (settings.json)
            status = print_json(device_json(i, &devices[i]));
        else
            print_device(i, &devices[i]);
    }
    free(devices);
    return status;
}

const struct command command_devices = {
    .name = "devices",
    .summary = "list the OpenCL devices of this machine",
    .synopsis = "[--json]",
    .text =
        "Lists all devices of all OpenCL platforms. The index, or any part of the platform's and\n"
        "device's name, is what --device of the other commands takes.\n",
    .examples = "  clnorm devices\n"
                "  clnorm devices --json\n",
    .options = options,
    .option_count = ROWS(options),
    .run = run,
};
