// How many threads are worth starting: physical cores in the affinity mask, and the container's CPU quota.
#include <algorithm>
#include <cstdlib>
#include <optional>
#include <sched.h>
#include <set>

#include "artifact/files.h"
#include "base/text.h"
#include "machine/machine.h"

namespace ob {

namespace {

std::string read_line(const std::string &path) {
    std::string text = system_text(path);
    return text.substr(0, text.find('\n'));
}

std::optional<double> ratio(const std::string &quota, const std::string &period) {
    auto whole = [](const std::string &text) {
        return !text.empty() && text.size() < 16 && text.find_first_not_of("0123456789") == text.npos;
    };
    if (!whole(quota) || !whole(period)) return std::nullopt;
    double above = std::strtod(quota.c_str(), nullptr), below = std::strtod(period.c_str(), nullptr);
    return above > 0 && below > 0 ? std::optional(above / below) : std::nullopt;
}

// The group's folder and all above it; inside a container the path may not exist below the mount, its root does.
std::vector<std::string> folders_up(const std::string &mount, const std::string &path) {
    std::vector<std::string> found{mount};
    for (const std::string &part : split(path, "/")) {
        if (part != "..") found.push_back(str(found.back(), "/", part));
    }
    return found;
}

// The CPUs that this process's control groups allow, all levels considered.
std::optional<double> cpu_quota(const std::string &root) {
    std::optional<double> least;
    auto note = [&](std::optional<double> found) {
        if (found && (!least || *found < *least)) least = found;
    };
    for (const std::string &line : split(system_text(root + "/proc/self/cgroup"), "\n")) {
        size_t first = line.find(':'), second = first == line.npos ? first : line.find(':', first + 1);
        if (second == line.npos) continue;
        std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",",
                    path = line.substr(second + 1);
        if (controllers == ",,") {
            for (const std::string &folder : folders_up(root + "/sys/fs/cgroup", path)) {
                std::vector<std::string> words = split(read_line(folder + "/cpu.max"), " ");
                if (words.size() == 2) note(ratio(words[0], words[1]));
            }
        } else if (controllers.find(",cpu,") != controllers.npos) {
            for (const std::string &folder : folders_up(root + "/sys/fs/cgroup/cpu", path)) {
                note(ratio(read_line(folder + "/cpu.cfs_quota_us"), read_line(folder + "/cpu.cfs_period_us")));
            }
        }
    }
    return least;
}

} // namespace

int available_threads(const std::string &root) {
    cpu_set_t mask;
    CPU_ZERO(&mask);
    int cores = 1;
    if (sched_getaffinity(0, sizeof mask, &mask) == 0) {
        std::set<std::string> siblings;
        for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
            if (!CPU_ISSET(cpu, &mask)) continue;
            std::string listed =
                read_line(str(root, "/sys/devices/system/cpu/cpu", cpu, "/topology/thread_siblings_list"));
            siblings.insert(listed.empty() ? std::to_string(cpu) : listed);
        }
        cores = static_cast<int>(siblings.size());
    }
    std::optional<double> quota = cpu_quota(root);
    return std::max(1, quota && *quota < cores ? static_cast<int>(*quota) : cores);
}

} // namespace ob
