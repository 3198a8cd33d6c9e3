// ovenbird-plan PROGRAM FILE...: for each plan one line, "ok" or the kind of error.
#include <cstdio>

#include "artifact/files.h"
#include "artifact/plan.h"
#include "base/errors.h"

namespace {

ob::Program program_of(const ob::Json &value) {
    ob::Json only{ob::Json::Kind::Object, false, false, 0, 0, {}, {}, {}};
    for (const char *name : {"inputs", "outputs"}) {
        only.names.push_back(name);
        only.items.push_back(*value.find(name));
    }
    return ob::read_program(ob::Value(only, "program.json"));
}

std::vector<ob::WeightTensor> tensors_of(const ob::Json &value) {
    std::vector<ob::WeightTensor> tensors;
    for (const ob::Json &one : value.find("tensors")->items) {
        ob::Value item(one, "program.json");
        tensors.push_back({item.field("file")->text, item.field("offset")->integer,
                           ob::read_dtype(item.field("dtype")), {}});
        item.shape("shape", tensors.back().shape, 0, 1 << 30, 0, 8);
    }
    return tensors;
}

} // namespace

int main(int count, char **words) {
    if (count < 3) return 2;
    ob::Json value = ob::parse_json(ob::system_text(words[1]), "program.json");
    ob::Program program = program_of(value);
    std::vector<ob::WeightTensor> tensors = tensors_of(value);
    for (int i = 2; i < count; ++i) {
        try {
            ob::Plan plan = ob::decode_plan(ob::system_text(words[i]), "plan.json");
            ob::check_plan(plan, tensors, "main", program, {}, "plan.json");
            std::puts("ok");
        } catch (const ob::Error &error) {
            std::printf("%s: %s\n", ob::status_name(error.status), error.message.c_str());
        }
    }
    return 0;
}
