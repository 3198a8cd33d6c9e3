// ovenbird-agreement CASES: what conformance/agreement says of two answers, as JSON; a line each.
#include <algorithm>

#include "artifact/files.h"
#include "base/json.h"
#include "base/schema.h"
#include "lines.h"
#include "tensors/agreement.h"

namespace {

const std::vector<ob::NamedTensor> &answers(const std::string &folder) {
    static const std::vector<ob::NamedTensor> found =
        ob::read_npz(ob::system_text(folder + "answers.npz"), "answers.npz", 1 << 24, OVENBIRD_INPUT_UNREADABLE);
    return found;
}

const ob::NamedTensor &answer(const ob::Json &value, const char *field, const std::string &folder) {
    for (const ob::NamedTensor &tensor : answers(folder)) {
        if (tensor.name == value.find(field)->text) return tensor;
    }
    ob::fail(OVENBIRD_INPUT_UNREADABLE, "there are no answers of that name");
}

std::string line_of(const ob::Json &value, const std::string &folder) {
    ob::Precision precision = ob::read_precision(ob::Value(*value.find("precision"), "precision"));
    ob::Difference found =
        ob::compare(answer(value, "given", folder), answer(value, "right", folder), ob::usual_limits(precision));
    ob::JsonObject line;
    line.add("max_abs", ob::json_of(found.max_abs)).add("rms", ob::json_of(found.rms));
    line.add("peak", ob::json_of(found.peak)).add("mismatches", ob::json_of(found.mismatches));
    std::string text = ob::json_text(line.add("fault", found.fault).done());
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text;
}

} // namespace

int main(int count, char **words) { return print_lines(count, words, line_of); }
