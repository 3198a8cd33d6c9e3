// CUDA C++ on a processor: a block's threads are fibers, one warp's tensor core is its first lane. Included by g++ before
// the kernels that TVM wrote (`__init__.py` does that), so that what they compute can be checked without a GPU.
//
//     emulation::run(launch, grid, block, shared_bytes)     // every block, one after the other
#pragma once
#include <csetjmp>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <type_traits>
#include <vector>
#include <ucontext.h>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __restrict__
#define __shared__ static
#define __align__(n) alignas(n)

struct dim3_ { unsigned x, y, z; };

namespace emulation {
constexpr size_t STACK = 128 * 1024;
struct Fiber { ucontext_t start; jmp_buf state; dim3_ index; unsigned linear; bool begun, done; std::vector<char> stack; };
inline std::vector<Fiber> fibers;
inline Fiber* current;
inline jmp_buf scheduler;
inline ucontext_t home;
inline dim3_ block_index, block_size, grid_size;
inline std::function<void()> body;
inline std::vector<char> dynamic_shared;
inline unsigned threads, waiting, generation;
inline unsigned warp_waiting[64], warp_generation[64];
inline float exchange[2048];

inline void entry() { body(); current->done = true; _longjmp(scheduler, 1); }
inline void yield() { if (!_setjmp(current->state)) _longjmp(scheduler, 1); }
inline void barrier() {
  unsigned mine = generation;
  if (++waiting == threads) { waiting = 0; ++generation; return; }
  while (generation == mine) yield();
}
inline void warp_barrier() {
  unsigned warp = current->linear / 32, size = threads - warp * 32 < 32 ? threads - warp * 32 : 32;
  unsigned mine = warp_generation[warp];
  if (++warp_waiting[warp] == size) { warp_waiting[warp] = 0; ++warp_generation[warp]; return; }
  while (warp_generation[warp] == mine) yield();
}
inline float shuffle(float value, unsigned from) {  // from: a lane of the same warp
  unsigned base = current->linear / 32 * 32;
  exchange[current->linear] = value;
  warp_barrier();
  float result = exchange[base + from % 32];
  warp_barrier();
  return result;
}
inline void run_block() {
  waiting = 0;
  std::memset(warp_waiting, 0, sizeof warp_waiting);
  for (unsigned i = 0; i < threads; ++i) {
    Fiber& fiber = fibers[i];
    fiber.begun = fiber.done = false;
    fiber.linear = i;
    fiber.index = {i % block_size.x, i / block_size.x % block_size.y, i / block_size.x / block_size.y};
  }
  for (unsigned left = threads; left;) {
    for (unsigned i = 0; i < threads; ++i) {
      Fiber& fiber = fibers[i];
      if (fiber.done) continue;
      current = &fiber;
      if (_setjmp(scheduler)) { left -= current->done; continue; }
      if (fiber.begun) _longjmp(fiber.state, 1);
      fiber.begun = true;
      getcontext(&fiber.start);
      fiber.start.uc_stack.ss_sp = fiber.stack.data();
      fiber.start.uc_stack.ss_size = fiber.stack.size();
      fiber.start.uc_link = &home;
      makecontext(&fiber.start, entry, 0);
      setcontext(&fiber.start);
    }
  }
}
inline void run(std::function<void()> kernel, dim3_ grid, dim3_ block, size_t shared_bytes) {
  body = std::move(kernel);
  grid_size = grid; block_size = block; threads = block.x * block.y * block.z;
  dynamic_shared.assign(shared_bytes + 64, 0);
  if (fibers.size() < threads) fibers.resize(threads);
  for (Fiber& fiber : fibers) if (fiber.stack.empty()) fiber.stack.resize(STACK);
  for (unsigned z = 0; z < grid.z; ++z) for (unsigned y = 0; y < grid.y; ++y) for (unsigned x = 0; x < grid.x; ++x) {
    block_index = {x, y, z};
    run_block();
  }
}
template <class... A, size_t... I> void unpack(void (*f)(A...), void** p, std::index_sequence<I...>) {
  f(*static_cast<std::remove_reference_t<A>*>(p[I])...);
}
template <class... A> void call(void (*f)(A...), void** p) { unpack(f, p, std::index_sequence_for<A...>{}); }
}  // namespace emulation

#define threadIdx (emulation::current->index)
#define blockIdx (emulation::block_index)
#define blockDim (emulation::block_size)
#define gridDim (emulation::grid_size)
inline void __syncthreads() { emulation::barrier(); }
inline void __syncwarp(unsigned = 0) { emulation::warp_barrier(); }
inline unsigned __activemask() { return 0xffffffffu; }
inline float __shfl_down_sync(unsigned, float v, unsigned d, int = 32) {
  unsigned lane = emulation::current->linear % 32; return emulation::shuffle(v, lane + d < 32 ? lane + d : lane);
}
inline float __shfl_sync(unsigned, float v, unsigned from, int = 32) { return emulation::shuffle(v, from); }

// -- float16, as cuda_fp16.h has it: every operation is done in float32 and rounded
struct half {
  _Float16 v;
  half() = default;
  half(float f) : v(static_cast<_Float16>(f)) {}
  half(double f) : v(static_cast<_Float16>(f)) {}
  half(int f) : v(static_cast<_Float16>(f)) {}
  operator float() const { return static_cast<float>(v); }
};
typedef half __half;
inline half operator+(half a, half b) { return half(float(a) + float(b)); }
inline half operator-(half a, half b) { return half(float(a) - float(b)); }
inline half operator*(half a, half b) { return half(float(a) * float(b)); }
inline half operator/(half a, half b) { return half(float(a) / float(b)); }
inline half __float2half_rn(float f) { return half(f); }
inline half __float2half(float f) { return half(f); }
inline float __half2float(half h) { return h; }
inline bool __hgt(half a, half b) { return float(a) > float(b); }
inline bool __hlt(half a, half b) { return float(a) < float(b); }
inline half max(half a, half b) { return __hgt(a, b) ? a : b; }
inline half min(half a, half b) { return __hlt(a, b) ? a : b; }
inline half __habs(half a) { return half(std::fabs(float(a))); }
struct half2 { half x, y; };
typedef half2 __half2;
inline half2 make_half2(half x, half y) { return {x, y}; }
struct alignas(8) half4 { half x, y, z, w; half4() = default; half4(half a, half b, half c, half d) : x(a), y(b), z(c), w(d) {} };
inline half4 make_half4(half x, half y, half z, half w) { return {x, y, z, w}; }
inline unsigned __pack_half2(half x, half y) {
  unsigned short a, b; std::memcpy(&a, &x, 2); std::memcpy(&b, &y, 2); return (unsigned(b) << 16) | a;
}

// -- vectors
#define VECTORS(T, N) \
  struct alignas(2 * sizeof(T)) N##2 { T x, y; }; \
  struct alignas(4 * sizeof(T)) N##4 { T x, y, z, w; }; \
  inline N##2 make_##N##2(T x, T y) { return {x, y}; } \
  inline N##4 make_##N##4(T x, T y, T z, T w) { return {x, y, z, w}; }
VECTORS(float, float)
VECTORS(int, int)
VECTORS(unsigned, uint)
VECTORS(short, short)
VECTORS(unsigned short, ushort)
VECTORS(signed char, char)
VECTORS(unsigned char, uchar)
// CUDA's drop NaN, whichever operand it is
inline float max(float a, float b) { return fmaxf(a, b); }
inline float min(float a, float b) { return fminf(a, b); }
#define CUDART_INF_F INFINITY
#define CUDART_NAN_F NAN
inline int max(int a, int b) { return a > b ? a : b; }
inline int min(int a, int b) { return a < b ? a : b; }
inline int64_t min(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t max(int64_t a, int64_t b) { return a > b ? a : b; }
inline float rsqrtf(float a) { return 1.0f / std::sqrt(a); }
inline float __expf(float a) { return std::exp(a); }
template <class T> inline T __ldg(const T* p) { return *p; }

// -- tensor cores: a fragment is whole in the warp's first lane
namespace nvcuda::wmma {
struct matrix_a; struct matrix_b; struct accumulator; struct row_major; struct col_major;
enum layout_t { mem_row_major, mem_col_major };
template <class Use, int M, int N, int K, class T, class Layout = void> struct fragment { T x[256]; };
inline bool first() { return emulation::current->linear % 32 == 0; }
template <class U, class T, class L, class V> void fill_fragment(fragment<U, 16, 16, 16, T, L>& f, V v) {
  if (first()) for (T& x : f.x) x = T(v);
}
template <class U, class T, class L> void load_matrix_sync(fragment<U, 16, 16, 16, T, L>& f, const T* p, unsigned ld) {
  if (first()) for (unsigned i = 0; i < 16; ++i) for (unsigned j = 0; j < 16; ++j)
    f.x[i * 16 + j] = std::is_same_v<L, col_major> ? p[j * ld + i] : p[i * ld + j];
}
template <class A, class B, class LA, class LB>
void mma_sync(fragment<accumulator, 16, 16, 16, float>& d, const fragment<A, 16, 16, 16, half, LA>& a,
              const fragment<B, 16, 16, 16, half, LB>& b, const fragment<accumulator, 16, 16, 16, float>& c) {
  if (!first()) return;
  float left[256], right[256];
  for (int i = 0; i < 256; ++i) { left[i] = a.x[i]; right[i] = b.x[i]; }
  for (int i = 0; i < 16; ++i) {
    float row[16];
    for (int j = 0; j < 16; ++j) row[j] = c.x[i * 16 + j];
    for (int k = 0; k < 16; ++k) for (int j = 0; j < 16; ++j) row[j] += left[i * 16 + k] * right[k * 16 + j];
    for (int j = 0; j < 16; ++j) d.x[i * 16 + j] = row[j];
  }
}
inline void store_matrix_sync(float* p, const fragment<accumulator, 16, 16, 16, float>& f, unsigned ld, layout_t) {
  if (first()) for (unsigned i = 0; i < 16; ++i) for (unsigned j = 0; j < 16; ++j) p[i * ld + j] = f.x[i * 16 + j];
  emulation::warp_barrier();
}
}  // namespace nvcuda::wmma
