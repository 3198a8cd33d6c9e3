#include "artifact/generation.h"

#include <algorithm>

#include "base/limits.h"

namespace ob {

namespace {

std::vector<StateUse> read_uses(const Json &value, const Where &where) {
    std::vector<StateUse> uses;
    for (const Json &item : check_list(value, where, 1, MAX_PROGRAMS).items) {
        Where here = where.item(uses.size());
        check_fields(item, here, {{"program", true}, {"tensor", true}});
        std::string program = read_text(*item.find("program"), here.field("program"), PROGRAM);
        uses.push_back({std::move(program), read_text(*item.find("tensor"), here.field("tensor"), NAME)});
    }
    return uses;
}

KeptState read_state(const std::string &name, const Json &value, const Where &where) {
    check_fields(value, where, {{"dtype", true}, {"shape", true}, {"axis", true}, {"reads", true}, {"writes", true}});
    KeptState state;
    state.name = name;
    state.dtype = read_dtype(*value.find("dtype"), where.field("dtype"));
    state.shape = read_wholes(*value.find("shape"), where.field("shape"), 1, MAX_DIM, 1, MAX_RANK - 1);
    state.axis = static_cast<size_t>(read_whole(*value.find("axis"), where.field("axis"), 0, MAX_RANK - 2));
    state.reads = read_uses(*value.find("reads"), where.field("reads"));
    state.writes = read_uses(*value.find("writes"), where.field("writes"));
    return state;
}

void read_vocabulary(TextLoop &loop, const Json &value, const Where &where) {
    check_fields(value, where, {{"kind", false}, {"file", false}, {"lower_case", false}});
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
        check_fields(value, where, {{"kind", false}});
        return search;
    }
    check_fields(value, where,
                 {{"kind", false}, {"beams", false}, {"length_penalty", false}, {"early_stopping", false}});
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
    std::vector<KeptState> states;
    check_object(value, where, 0, MAX_IO_TENSORS, &NAME);
    for (size_t i = 0; i < value.items.size(); ++i) {
        states.push_back(read_state(value.names[i], value.items[i], where.key(value.names[i])));
    }
    return states;
}

TextLoop read_loop(const Json &value, const Where &where) {
    check_fields(value, where,
                 {{"once", true},
                  {"step", true},
                  {"token", true},
                  {"position", true},
                  {"logits", true},
                  {"begin", true},
                  {"end", true},
                  {"hidden", true},
                  {"max_length", true},
                  {"vocabulary", true},
                  {"search", false},
                  {"no_repeat_ngram_size", false}});
    TextLoop loop;
    Where list = where.field("once");
    for (const Json &item : check_list(*value.find("once"), list, 1, MAX_PROGRAMS).items) {
        loop.once.push_back(read_text(item, list.item(loop.once.size()), PROGRAM));
    }
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
    loop.max_length = read_whole(*value.find("max_length"), where.field("max_length"), 2, MAX_TOKENS);
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
