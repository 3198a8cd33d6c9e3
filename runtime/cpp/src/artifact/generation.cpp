#include "artifact/generation.h"

#include <algorithm>

#include "base/limits.h"

namespace ob {

namespace {

std::vector<StateUse> read_uses(const Json &value, const Where &where) {
    return read_items<StateUse>(value, where, 1, MAX_PROGRAMS, [](StateUse &use, const Json &item, const Where &here) {
        check_fields(item, here, "program tensor");
        use.program = text_field(item, here, "program", PROGRAM);
        use.tensor = text_field(item, here, "tensor", NAME);
    });
}

void read_state(KeptState &state, const Json &value, const Where &where) {
    check_fields(value, where, "dtype shape axis reads writes");
    state.dtype = read_dtype(*value.find("dtype"), where.field("dtype"));
    state.shape = wholes_field(value, where, "shape", 1, MAX_DIM, 1, MAX_RANK - 1);
    state.axis = static_cast<size_t>(whole_field(value, where, "axis", 0, MAX_RANK - 2));
    state.reads = read_uses(*value.find("reads"), where.field("reads"));
    state.writes = read_uses(*value.find("writes"), where.field("writes"));
}

void read_vocabulary(TextLoop &loop, const Json &value, const Where &where) {
    check_fields(value, where, "kind? file? lower_case?");
    if (const Json *kind = value.find("kind")) read_choice(*kind, where.field("kind"), {"wordpiece"});
    loop.vocabulary = "vocabulary.txt";
    if (const Json *file = value.find("file")) loop.vocabulary = read_text(*file, where.field("file"), PATH);
    if (const Json *flag = value.find("lower_case")) loop.lower_case = read_flag(*flag, where.field("lower_case"));
}

StateUses uses_of(const std::vector<KeptState> &states, const std::string &program,
                  std::vector<StateUse> KeptState::*kind) {
    StateUses found;
    for (size_t i = 0; i < states.size(); ++i) {
        for (const StateUse &use : states[i].*kind) {
            if (use.program == program) found.emplace_back(use.tensor, i);
        }
    }
    return found;
}

} // namespace

SearchKind read_search(const Json &value, const Where &where) {
    static const Json nothing;
    const Json *name = value.kind == Json::Kind::Object ? value.find("kind") : nullptr;
    SearchKind search;
    if (read_choice(name ? *name : nothing, where.field("kind"), {"beam", "greedy"}) == 1) {
        check_fields(value, where, "kind?");
        return search;
    }
    check_fields(value, where, "kind? beams? length_penalty? early_stopping?");
    search.beams = 4;
    if (const Json *found = value.find("beams")) search.beams = read_whole(*found, where.field("beams"), 2, MAX_BEAMS);
    if (const Json *found = value.find("length_penalty")) {
        search.length_penalty = read_real(*found, where.field("length_penalty"), -10.0, 10.0);
    }
    if (const Json *found = value.find("early_stopping")) {
        if (found->kind == Json::Kind::Bool) {
            search.early_stopping = found->truth ? EarlyStopping::Yes : EarlyStopping::No;
        } else if (found->kind == Json::Kind::String && found->text == "never") {
            search.early_stopping = EarlyStopping::Never;
        } else {
            refuse(where.field("early_stopping"), *found, "another kind of value (see the JSON Schema)");
        }
    }
    return search;
}

bool TextLoop::ends(int64_t token) const { return std::find(end.begin(), end.end(), token) != end.end(); }

std::vector<KeptState> read_states(const Json &value, const Where &where) {
    check_object(value, where, 0, MAX_IO_TENSORS, &NAME);
    std::vector<KeptState> states(value.items.size());
    for (size_t i = 0; i < value.items.size(); ++i) {
        states[i].name = value.names[i];
        read_state(states[i], value.items[i], where.key(value.names[i]));
    }
    return states;
}

TextLoop read_loop(const Json &value, const Where &where) {
    check_fields(value, where,
                 "once step token position logits begin end hidden max_length vocabulary search? "
                 "no_repeat_ngram_size?");
    TextLoop loop;
    loop.once = read_texts(*value.find("once"), where.field("once"), 1, MAX_PROGRAMS, PROGRAM);
    auto text = [&](const char *name, const TextKind &kind) {
        return read_text(*value.find(name), where.field(name), kind);
    };
    loop.step = text("step", PROGRAM);
    loop.token = text("token", NAME);
    loop.position = text("position", NAME);
    loop.logits = text("logits", NAME);
    auto tokens = [&](const char *name, int64_t least, int64_t most) {
        return read_wholes(*value.find(name), where.field(name), 0, MAX_DIM, least, most);
    };
    loop.begin = tokens("begin", 1, MAX_TOKENS);
    loop.end = tokens("end", 0, 16);
    loop.hidden = tokens("hidden", 0, 1024);
    loop.max_length = whole_field(value, where, "max_length", 2, MAX_TOKENS);
    read_vocabulary(loop, *value.find("vocabulary"), where.field("vocabulary"));
    if (const Json *search = value.find("search")) loop.search = read_search(*search, where.field("search"));
    if (const Json *size = value.find("no_repeat_ngram_size")) {
        loop.no_repeat_ngram_size = read_whole(*size, where.field("no_repeat_ngram_size"), 0, MAX_TOKENS);
    }
    return loop;
}

StateUses reads_of(const std::vector<KeptState> &states, const std::string &program) {
    return uses_of(states, program, &KeptState::reads);
}

StateUses writes_of(const std::vector<KeptState> &states, const std::string &program) {
    return uses_of(states, program, &KeptState::writes);
}

} // namespace ob
