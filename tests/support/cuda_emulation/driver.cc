// A libcuda.so.1 and libcudart.so.13 in one, whose device is this processor: memory is the host's, launching a kernel runs
// it by emulation (`emulation.h`) from the library that $EMULATED_KERNELS names. Linked twice, under both names. Where that
// is a folder, each fat binary's library is the one named by its FNV-1a hash (`nvcc.py` puts it there).
//
// $EMULATED_DRIVER (13000), $EMULATED_COMPUTE (90) and $EMULATED_GPUS (1) say what it claims to be. Launches beyond the
// limits of real chips fail as they would there.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <mutex>
#include <string>
#include <sys/stat.h>

namespace {
int setting(const char* name, int otherwise) { const char* text = getenv(name); return text ? atoi(text) : otherwise; }
thread_local int device_ = 0;
std::mutex launching;
struct Launch { unsigned gx, gy, gz, bx, by, bz, shared; void* stream; void* attrs; unsigned count; };
using Entry = void (*)(void**, const unsigned*, const unsigned*, size_t);
std::string kernels_of(const void* image) {
  std::string path = getenv("EMULATED_KERNELS") ? getenv("EMULATED_KERNELS") : "";
  struct stat found;
  if (path.empty() || stat(path.c_str(), &found) || !S_ISDIR(found.st_mode)) return path;
  struct Header { uint32_t magic; uint16_t version, size; uint64_t payload; };
  const Header& header = *static_cast<const Header*>(image);
  const unsigned char* bytes = static_cast<const unsigned char*>(image);
  uint64_t hash = 0xcbf29ce484222325u;
  for (uint64_t i = 0; i < header.size + header.payload; ++i) hash = (hash ^ bytes[i]) * 0x100000001b3u;
  char name[24];
  snprintf(name, sizeof name, "%016llx.so", static_cast<unsigned long long>(hash));
  return path + "/" + name;
}
constexpr int INVALID = 1, NO_DEVICE = 100, NOT_FOUND = 500;
}  // namespace

extern "C" {
int cuInit(unsigned) { return setting("EMULATED_GPUS", 1) ? 0 : NO_DEVICE; }
int cuDriverGetVersion(int* v) { *v = setting("EMULATED_DRIVER", 13000); return 0; }
int cuDeviceGetCount(int* n) { *n = setting("EMULATED_GPUS", 1); return 0; }
int cuDeviceGet(int* d, int i) { *d = i; return 0; }
int cuDeviceGetAttribute(int* v, int attribute, int) {
  int compute = setting("EMULATED_COMPUTE", 90);
  *v = attribute == 75 ? compute / 10 : attribute == 76 ? compute % 10 : 0;
  return 0;
}
int cuDeviceGetName(char* text, int n, int) { snprintf(text, n, "emulated"); return 0; }
int cuFuncSetAttribute(void*, int, int) { return 0; }
int cuGetErrorName(int e, const char** s) { *s = e == NOT_FOUND ? "CUDA_ERROR_NOT_FOUND" : "CUDA_ERROR"; return 0; }
int cuGetErrorString(int, const char** s) { *s = "emulated"; return 0; }
int cuModuleLoadData(void** m, const void* image) {
  // A fat binary, never source: 0xba55ed50 begins one.
  if (*static_cast<const uint32_t*>(image) != 0xba55ed50u) return 200;
  std::string path = kernels_of(image);
  *m = path.empty() ? nullptr : dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!*m) fprintf(stderr, "emulation: %s\n", path.empty() ? "EMULATED_KERNELS is not set" : dlerror());
  return *m ? 0 : 200;
}
int cuModuleUnload(void*) { return 0; }
int cuModuleGetFunction(void** f, void* m, const char* name) {
  *f = dlsym(m, (std::string("emulated_") + name).c_str());
  return *f ? 0 : NOT_FOUND;
}
int cuLaunchKernelEx(const void* config, void* f, void** parameters, void**) {
  const Launch& at = *static_cast<const Launch*>(config);
  unsigned long threads = 1ul * at.bx * at.by * at.bz;
  if (!threads || threads > 1024 || at.bz > 64 || at.gy > 65535 || at.gz > 65535 || !at.gx || at.shared > 49152)
    return INVALID;
  const unsigned grid[3] = {at.gx, at.gy, at.gz}, block[3] = {at.bx, at.by, at.bz};
  std::lock_guard<std::mutex> lock(launching);
  reinterpret_cast<Entry>(f)(parameters, grid, block, at.shared);
  return 0;
}
int cuTensorMapEncodeTiled(...) { return INVALID; }

int cudaDeviceGetAttribute(int* v, int attribute, int) {
  switch (attribute) {
    case 1: *v = 1024; break;     // threads of a block
    case 8: *v = 49152; break;    // its shared memory
    case 10: *v = 32; break;      // threads of a warp
    case 75: *v = setting("EMULATED_COMPUTE", 90) / 10; break;
    case 76: *v = setting("EMULATED_COMPUTE", 90) % 10; break;
    default: *v = 1;
  }
  return 0;
}
int cudaGetDevice(int* d) { *d = device_; return 0; }
int cudaSetDevice(int d) { if (d >= setting("EMULATED_GPUS", 1)) return 101; device_ = d; return 0; }
int cudaGetDeviceCount(int* n) { *n = setting("EMULATED_GPUS", 1); return 0; }
int cudaGetDeviceProperties(void*, int) { return INVALID; }
const char* cudaGetErrorName(int) { return "cudaError"; }
const char* cudaGetErrorString(int) { return "emulated"; }
int cudaGetLastError() { return 0; }
int cudaPeekAtLastError() { return 0; }
// What a kernel does not write must not be there by luck: memory begins as NaN.
int cudaMalloc(void** p, size_t n) {
  *p = aligned_alloc(256, (n + 511) / 256 * 256);
  if (*p) memset(*p, 0xff, n);
  return *p ? 0 : 2;
}
int cudaFree(void* p) { free(p); return 0; }
int cudaMallocHost(void** p, size_t n) { return cudaMalloc(p, n); }
int cudaFreeHost(void* p) { return cudaFree(p); }
int cudaMemGetInfo(size_t* free_, size_t* total) { *free_ = *total = 1ul << 34; return 0; }
int cudaMemcpyAsync(void* to, const void* from, size_t n, int, void*) { memcpy(to, from, n); return 0; }
int cudaMemcpyPeerAsync(void* to, int, const void* from, int, size_t n, void*) { memcpy(to, from, n); return 0; }
int cudaStreamCreate(void** s) { *s = nullptr; return 0; }
int cudaStreamCreateWithFlags(void** s, unsigned) { *s = nullptr; return 0; }
int cudaStreamDestroy(void*) { return 0; }
int cudaStreamSynchronize(void*) { return 0; }
int cudaStreamWaitEvent(void*, void*, unsigned) { return 0; }
int cudaStreamBeginCapture(void*, int) { return INVALID; }
int cudaStreamEndCapture(void*, void**) { return INVALID; }
int cudaEventCreate(void** e) { *e = nullptr; return 0; }
int cudaEventDestroy(void*) { return 0; }
int cudaEventRecord(void*, void*) { return 0; }
int cudaEventSynchronize(void*) { return 0; }
int cudaEventElapsedTime(float* t, void*, void*) { *t = 0; return 0; }
int cudaGraphDestroy(void*) { return INVALID; }
int cudaGraphExecDestroy(void*) { return INVALID; }
int cudaGraphInstantiate(void**, void*, unsigned long long) { return INVALID; }
int cudaGraphLaunch(void*, void*) { return INVALID; }
}
