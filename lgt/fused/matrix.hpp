// Matrix products, exp and a parallel loop for the fused step.
//
// Everything is float32. Vectors are GCC/Clang vector extensions as wide as the processor's registers, so that one
// source serves AVX-512, AVX2 and NEON. Results do not depend on the number of threads.
#pragma once
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <system_error>
#include <thread>
#include <vector>

#if defined(__AVX512F__)
constexpr long LANES = 16;
#elif defined(__AVX__)
constexpr long LANES = 8;
#else
constexpr long LANES = 4;
#endif
// The vector types are members of structs, because a type passed as template argument would lose its alignment.
struct Whole {
  static constexpr long LANES = ::LANES;
  typedef float Vector __attribute__((vector_size(LANES * 4), aligned(4)));
};
struct Half {  // for heads of 8 channels
  static constexpr long LANES = ::LANES / 2;
  typedef float Vector __attribute__((vector_size(LANES * 4), aligned(4)));
};

inline long padded(long n) { return (n + LANES - 1) / LANES * LANES; }

// Rows of C computed at once when a tile is 1..4 vectors wide: as many as the registers hold.
// The sums of an element are added in the same order with every tile, so the tile does not change results.
constexpr long TILE_ROWS[5] = {0, LANES == 8 ? 8 : 14, LANES == 8 ? 6 : 12, LANES == 8 ? 4 : 8, LANES == 8 ? 3 : 6};

// C[ROWS, VECTORS * LANES] = or += A[ROWS, depth] B[depth, VECTORS * LANES], where a Vector has LANES numbers; A[i, k] is
// at a[i * row + k * column].
template <long ROWS, long VECTORS, typename Kind>
inline void tile(long depth, const float* a, long row, long column, const float* b, long ldb, float* c, long ldc,
                 bool add) {
  typedef typename Kind::Vector Vector;
  constexpr long LANES = Kind::LANES;
  Vector sum[ROWS][VECTORS];
#pragma GCC unroll 16
  for (long i = 0; i < ROWS; i++)
#pragma GCC unroll 4
    for (long j = 0; j < VECTORS; j++) sum[i][j] = add ? *(const Vector*)(c + i * ldc + j * LANES) : Vector{};
  for (long k = 0; k < depth; k++) {
    Vector right[VECTORS];
#pragma GCC unroll 4
    for (long j = 0; j < VECTORS; j++) right[j] = *(const Vector*)(b + k * ldb + j * LANES);
#pragma GCC unroll 16
    for (long i = 0; i < ROWS; i++) {
      const float left = a[i * row + k * column];
#pragma GCC unroll 4
      for (long j = 0; j < VECTORS; j++) sum[i][j] += left * right[j];
    }
  }
#pragma GCC unroll 16
  for (long i = 0; i < ROWS; i++)
#pragma GCC unroll 4
    for (long j = 0; j < VECTORS; j++) *(Vector*)(c + i * ldc + j * LANES) = sum[i][j];
}

template <long VECTORS, typename Kind = Whole>
inline void panel(long rows, long depth, const float* a, long row, long column, const float* b, long ldb, float* c,
                  long ldc, bool add) {
  long i = 0;
  for (; i + TILE_ROWS[VECTORS] <= rows; i += TILE_ROWS[VECTORS])
    tile<TILE_ROWS[VECTORS], VECTORS, Kind>(depth, a + i * row, row, column, b, ldb, c + i * ldc, ldc, add);
  for (; i + 4 <= rows; i += 4) tile<4, VECTORS, Kind>(depth, a + i * row, row, column, b, ldb, c + i * ldc, ldc, add);
  for (; i < rows; i++) tile<1, VECTORS, Kind>(depth, a + i * row, row, column, b, ldb, c + i * ldc, ldc, add);
}

// C[rows, columns] = or += A[rows, depth] B[depth, columns], B and C row by row, A[i, k] at a[i * row + k * column].
inline void multiply(long rows, long columns, long depth, const float* a, long row, long column, const float* b,
                     long ldb, float* c, long ldc, bool add = false) {
  long j = 0;
  for (; j + 4 * LANES <= columns; j += 4 * LANES) panel<4>(rows, depth, a, row, column, b + j, ldb, c + j, ldc, add);
  if (j + 3 * LANES <= columns) panel<3>(rows, depth, a, row, column, b + j, ldb, c + j, ldc, add), j += 3 * LANES;
  if (j + 2 * LANES <= columns) panel<2>(rows, depth, a, row, column, b + j, ldb, c + j, ldc, add), j += 2 * LANES;
  if (j + LANES <= columns) panel<1>(rows, depth, a, row, column, b + j, ldb, c + j, ldc, add), j += LANES;
  if (LANES > 4 && j + LANES / 2 <= columns)
    panel<1, Half>(rows, depth, a, row, column, b + j, ldb, c + j, ldc, add), j += LANES / 2;
  for (long i = 0; j < columns && i < rows; i++)  // the remaining columns of a width that is not a multiple of LANES
    for (long rest = j; rest < columns; rest++) {
      float sum = add ? c[i * ldc + rest] : 0.0f;
      for (long k = 0; k < depth; k++) sum += a[i * row + k * column] * b[k * ldb + rest];
      c[i * ldc + rest] = sum;
    }
}

// out[columns, ldo] = transpose of in[rows, ldi].
inline void transpose(long rows, long columns, const float* in, long ldi, float* out, long ldo) {
  for (long i0 = 0; i0 < rows; i0 += 16)
    for (long j = 0; j < columns; j++)
      for (long i = i0; i < std::min(rows, i0 + 16); i++) out[j * ldo + i] = in[i * ldi + j];
}

// exp to 2 units in the last place (Cody-Waite reduction, degree 7), in a form that compilers vectorise.
inline float exponential(float x) {
  x = std::min(std::max(x, -87.0f), 88.0f);
  const float n = __builtin_rintf(x * 1.44269504f);
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691e-4f;
  p = p * r + 1.3981999e-3f;
  p = p * r + 8.3334519e-3f;
  p = p * r + 4.1665796e-2f;
  p = p * r + 1.6666666e-1f;
  p = p * r + 0.5f;
  p = p * r * r + r + 1.0f;
  const int32_t bits = ((int32_t)n + 127) << 23;
  float scale;
  std::memcpy(&scale, &bits, 4);
  return p * scale;
}

// Call work(i) for i in 0..count-1 on `threads` threads.
template <typename Work>
void parallel(int threads, long count, Work work) {
  std::atomic<long> next{0};
  auto loop = [&] {
    for (long i = next++; i < count; i = next++) work(i);
  };
  std::vector<std::thread> others;
  for (long i = 1; i < std::min<long>(threads, count); i++) {
    try {
      others.emplace_back(loop);
    } catch (const std::system_error&) {  // no more threads can be started; the running threads do all work
      break;
    }
  }
  loop();
  for (auto& other : others) other.join();
}
