// The module ovenbird_native._binding: the C interface as Python has it. `ovenbird_native.model` is what users see.
#include "binding.h"

NB_MODULE(_binding, module) {
    module.attr("VERSION") = ovenbird_version();
    add_artifact(module);
    add_session(module);
}
