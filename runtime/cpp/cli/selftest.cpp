// ovenbird-run selftest DIR
#include "engine/selftest.h"

#include "base/text.h"
#include "commands.h"

namespace ob {

int command_selftest(int count, char **words) {
    Options options(LOADING);
    options.parse(count, words);
    std::unique_ptr<Session> session = load_session(options, only_directory(options));
    Selftest result = selftest(*session);
    if (options.given("--json")) {
        JsonObject errors, rms, peak, all;
        for (const auto &[name, difference] : result.outputs) {
            errors.add(name, json_of(difference.max_abs));
            rms.add(name, json_of(difference.rms));
            peak.add(name, json_of(difference.peak));
        }
        all.add("model", result.model).add("target", result.target);
        all.add("files", static_cast<int64_t>(result.files)).add("rows", result.rows);
        all.add("max_abs_error", errors.done()).add("tolerance", result.tolerance);
        print(json_text(all.add("rms", rms.done()).add("peak", peak.done()).done()));
        return 0;
    }
    std::vector<std::string> errors, shares;
    for (const auto &[name, difference] : result.outputs) {
        errors.push_back(str(name, " ", format("%.2g", difference.max_abs)));
        shares.push_back(str(name, " ", format("%.2g", difference.rms)));
    }
    print(str(result.model, " for ", result.target, ": ", result.files, " files as written, ", result.rows,
              " golden rows reproduced"));
    print(str("max abs error: ", join(errors), "; of their own spread: ", join(shares), " (limit ",
              format("%.2g", result.tolerance), ")"));
    return 0;
}

} // namespace ob
