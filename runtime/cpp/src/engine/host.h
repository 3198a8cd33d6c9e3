// What compiled code asks of who runs it: a dozen C functions, tasks side by side, scratch memory, a place for errors.
//
//     ElfImage image(data, bytes, name, host_symbols());
//     CallScope scope(session_host);              // kernels that this thread calls belong to that session
//
// Kernels say nothing about who calls them, so each thread remembers for whom it works.
#pragma once

#include <mutex>
#include <string>
#include <string_view>

#include "engine/elf_image.h"
#include "engine/thread_pool.h"

namespace ob {

HostSymbols host_symbols();

// What the kernels of one session share.
class Host {
  public:
    explicit Host(int threads);

    ThreadPool &pool() { return pool_; }
    // The first error since it was taken last.
    void note(std::string message);
    std::string take_error();

  private:
    std::mutex mutex_; // of `error_`
    std::string error_;
    ThreadPool pool_;
};

// Binds this thread to a session while it calls kernels.
class CallScope {
  public:
    explicit CallScope(Host &host);
    ~CallScope();
    CallScope(const CallScope &) = delete;
    CallScope &operator=(const CallScope &) = delete;

  private:
    Host *before_;
};

} // namespace ob
