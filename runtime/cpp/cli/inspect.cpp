// ovenbird-run inspect DIR: as lines for people (`ovenbird_runtime/text.py`).
#include "base/text.h"
#include "commands.h"
#include "inspection.h"

namespace ob {

namespace {

const std::string &text_at(const Json &value, const char *name) { return value.find(name)->text; }
double number_at(const Json &value, const char *name) { return value.find(name)->real; }
bool is_null(const Json &value, const char *name) { return !value.given(name); }

std::string megabytes(double bytes, const char *how) { return format(how, bytes / 1e6) + " MB"; }

std::string size_of(const Json &size) {
    std::vector<std::string> sides;
    for (const Json &side : size.items) sides.push_back(std::to_string(side.integer));
    return join(sides, "x");
}

std::string shape_of(const Json &shape) {
    std::vector<std::string> dims;
    for (const Json &dim : shape.items) {
        dims.push_back(dim.kind == Json::Kind::String ? dim.text : std::to_string(dim.integer));
    }
    return "[" + join(dims) + "]";
}

void add_trust(std::vector<std::string> &lines, const Json &found) {
    std::vector<std::string> ids;
    for (const Json &id : found.find("signatures")->items) ids.push_back(id.text);
    std::string signed_by = "no";
    if (!is_null(found, "signed_by")) {
        signed_by = str("by ", text_at(found, "signed_by"), ", checked");
    } else if (!ids.empty()) {
        signed_by = str("by ", join(ids), ", not checked (--require-signature KEY.pub)");
    }
    lines.push_back("digest   " + text_at(found, "digest"));
    lines.push_back("signed   " + signed_by);
    if (is_null(found, "provenance")) return;
    const Json &origin = *found.find("provenance"), &tools = *origin.find("versions");
    std::vector<std::string> versions;
    for (size_t i = 0; i < tools.names.size(); ++i) versions.push_back(str(tools.names[i], " ", tools.items[i].text));
    std::string line = "made by  " + join(versions);
    if (!is_null(origin, "commit")) {
        line += str("; commit ", text_at(origin, "commit").substr(0, 12));
        if (origin.find("modified")->truth) line += " and changes that were not committed";
    }
    lines.push_back(line);
}

std::string answer_of(const Json &step) {
    std::vector<std::string> names{text_at(step, "output")};
    for (const char *name : {"scores", "classes", "masks", "keypoints"}) {
        if (const Json *found = step.given(name)) names.push_back(found->text);
    }
    std::string text = str(text_at(step, "step"), " of ", join(names));
    if (text_at(step, "step") != "boxes") return text;
    return str(text, ": score ", format("%g", number_at(step, "score")), ", iou ", format("%g", number_at(step, "iou")),
               ", at most ", step.find("max_boxes")->integer);
}

void add_program(std::vector<std::string> &lines, const Json &program) {
    for (const char *kind : {"input", "output"}) {
        for (const Json &spec : program.find(str(kind, "s"))->items) {
            std::string head = kind;
            head.resize(8, ' ');
            std::string line =
                str(head, " ", text_at(spec, "name"), " ", text_at(spec, "dtype"), " ", shape_of(*spec.find("shape")));
            const Json *layout = spec.find("layout");
            lines.push_back(layout && !layout->text.empty() ? str(line, " ", layout->text) : line);
        }
    }
    const Json *preprocess = program.find("preprocess"),
               *pipelines = preprocess ? preprocess->find("pipelines") : nullptr;
    const Json *usual = preprocess ? preprocess->given("default") : nullptr;
    std::vector<std::string> names, sizes;
    if (pipelines) {
        for (const std::string &name : pipelines->names) {
            names.push_back(name + (usual && usual->text == name ? " (default)" : ""));
        }
    }
    if (const Json *list = program.find("sizes")) {
        for (const Json &one : list->items) sizes.push_back(size_of(*one.find("size")));
    }
    if (!sizes.empty()) lines.push_back(str("sizes    ", join(sizes), " (height x width)"));
    lines.push_back("pipeline " + (names.empty() ? "none" : join(names)));
    if (const Json *steps = program.find("postprocess")) {
        for (const Json &step : steps->items) lines.push_back("answer   " + answer_of(step));
    }
}

std::string plan_of(const Json *plan) {
    if (!plan || plan->items.empty()) return "none: runs on TVM's virtual machine alone";
    std::vector<std::string> texts;
    for (const Json &entry : plan->items) {
        std::string size = size_of(*entry.find("size"));
        texts.push_back(str(text_at(entry, "program"), " batch ", entry.find("batch")->integer, size.empty() ? "" : " ",
                            size, ": ", entry.find("calls")->integer, " calls, arena ",
                            megabytes(number_at(entry, "arena_bytes"), "%.2f")));
    }
    return join(texts);
}

void add_variant(std::vector<std::string> &lines, const Json &variant, const std::string &chosen) {
    bool runs = variant.find("runs_here")->truth;
    std::string state =
        runs ? text_at(variant, "name") == chosen ? "runs here, chosen" : "runs here" : text_at(variant, "reason");
    lines.push_back(str("target   ", text_at(variant, "name"), ": ", state));
    const Json *batches = variant.find("batches");
    if (!batches) return;
    std::vector<std::string> texts;
    for (size_t i = 0; i < batches->names.size(); ++i) {
        for (const Json &batch : batches->items[i].items) {
            texts.push_back(str(batches->names.size() > 1 ? batches->names[i] + " " : "", "batch ", batch.integer));
        }
    }
    lines.push_back(str("         ", text_at(variant, "kind"), " ", text_at(variant, "arch"), ", ",
                        text_at(variant, "precision"), ", ", join(texts), ", code ",
                        megabytes(number_at(variant, "code_bytes"), "%.2f"), ", weights ",
                        megabytes(number_at(variant, "weight_bytes"), "%.1f")));
    lines.push_back("         plan " + plan_of(variant.given("plan")));
}

std::vector<std::string> inspection_lines(const Json &found) {
    const Json &model = *found.find("model"), &weights = *model.find("weights"), &programs = *found.find("programs");
    auto optional_text = [&](const char *name) { return weights.find(name) ? weights.find(name)->text : ""; };
    bool random = weights.find("random") && weights.find("random")->truth;
    const Json *seed = weights.given("seed");
    std::string origin = random ? str("RANDOM (seed ", seed ? std::to_string(seed->integer) : "None", ")")
                                : str(text_at(weights, "origin"), " ", optional_text("detail"));
    std::vector<std::string> lines{
        str("model    ", text_at(model, "name"), " ", one_line(text_at(model, "version")), ", licence ",
            one_line(text_at(model, "licence"))),
        "weights  " + one_line(origin),
        str("files    ", found.find("files")->integer, ", ", megabytes(number_at(found, "bytes"), "%.1f")),
    };
    add_trust(lines, found);
    for (size_t i = 0; i < programs.items.size(); ++i) {
        if (programs.items.size() > 1) lines.push_back("program  " + programs.names[i]);
        add_program(lines, programs.items[i]);
    }
    if (const Json *parity = found.given("parity")) {
        const Json &each = *parity->find("programs");
        for (size_t i = 0; i < each.items.size(); ++i) {
            const Json &largest = *each.items[i].find("max_abs_error");
            std::vector<std::string> errors;
            for (size_t j = 0; j < largest.items.size(); ++j) {
                errors.push_back(str(largest.names[j], " ", format("%.2g", largest.items[j].real)));
            }
            const Json *agreement = each.items[i].given("top1_agreement");
            lines.push_back(
                str("parity   ", each.items.size() > 1 ? each.names[i] + ": " : "", "max abs error ", join(errors),
                    agreement ? str(", top-1 agreement ", format("%.1f", 100 * agreement->real), " %") : ""));
        }
    }
    for (const Json &variant : found.find("variants")->items) add_variant(lines, variant, text_at(found, "chosen"));
    return lines;
}

} // namespace

int command_inspect(int count, char **words) {
    Options options({{"--require-signature", true}, {"--json", false}});
    options.parse(count, words);
    std::optional<std::string> key = options.text("--require-signature");
    Json found = inspect_artifact(only_directory(options), key ? key->c_str() : nullptr);
    if (options.given("--json")) {
        print(json_text(found));
        return 0;
    }
    for (const std::string &line : inspection_lines(found)) print(one_line(line));
    return 0;
}

} // namespace ob
