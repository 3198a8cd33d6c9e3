// What a stranger's bytes reach first: one function a kind of file, for mutants and for libFuzzer.
#pragma once

#include <string>
#include <string_view>

// Reads bytes of a kind ("json", "manifest", "target", "plan", "elf", "npz", "bundle", "jpeg", "png"); whatever is refused is no fault. Returns
// whether they were read; anything but ob::Error leaves it.
bool read_hostile(const std::string &kind, std::string_view data);
