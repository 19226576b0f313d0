// How fast one core multiplies: without reading memory, and in the products of the fused training step.
#include <ctime>
#if defined(__AVX512BF16__)
#include <immintrin.h>
#endif

#include "matrix.hpp"

// Seconds that this thread has computed. Time in which another program had the core does not count.
static double now() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

extern "C" {

// Floating-point operations a second of one core that only multiplies and adds in its registers, in float32.
double lgt_peak(double seconds) {
  typedef Whole::Vector Vector;
  constexpr long CHAINS = 12, INNER = 10000;  // as many sums as hide the latency of a multiply-add
  Vector sums[CHAINS] = {}, factor = Vector{} + 0.999f, term = Vector{} + 0.001f;
  const double begin = now();
  double done = 0, elapsed = 0;
  while (elapsed < seconds) {
    for (long i = 0; i < INNER; i++) {
#pragma GCC unroll 12
      for (long j = 0; j < CHAINS; j++) sums[j] = sums[j] * factor + term;
    }
    done += 2.0 * CHAINS * INNER * LANES, elapsed = now() - begin;
  }
  volatile float kept = 0;
  for (long j = 0; j < CHAINS; j++) kept = kept + sums[j][0];
  return done / elapsed;
}

// The same for products of bfloat16 numbers that are added in float32; 0 if the processor has no instruction for that.
double lgt_peak_bfloat16(double seconds) {
#if defined(__AVX512BF16__)
  constexpr long CHAINS = 12, INNER = 10000, PAIRS = 2;  // each lane multiplies and adds two pairs of numbers
  __m512 sums[CHAINS] = {};
  const __m512bh factor = (__m512bh)_mm512_set1_epi32(0x3f003f00);  // pairs of 0.5
  const double begin = now();
  double done = 0, elapsed = 0;
  while (elapsed < seconds) {
    for (long i = 0; i < INNER; i++) {
#pragma GCC unroll 12
      for (long j = 0; j < CHAINS; j++) sums[j] = _mm512_dpbf16_ps(sums[j], factor, factor);
    }
    done += 2.0 * PAIRS * CHAINS * INNER * LANES, elapsed = now() - begin;
  }
  volatile float kept = 0;
  for (long j = 0; j < CHAINS; j++) kept = kept + sums[j][0];
  return done / elapsed;
#else
  return seconds * 0;
#endif
}

// One kind of product: C[rows, columns] = A[rows, depth] B[depth, columns], `count` times. `across`: A is stored
// transposed.
struct Product {
  int64_t rows, columns, depth, count, across;
};

// Seconds of all products, one after another, on one core. `room` has space for the three matrices of each.
double lgt_products(const Product* products, int64_t kinds, float* room) {
  double elapsed = 0;
  for (long i = 0; i < kinds; i++) {
    const Product& x = products[i];
    const float *a = room, *b = a + padded(x.rows * x.depth);
    float* c = room + padded(x.rows * x.depth) + padded(x.depth * x.columns);
    const double begin = now();
    for (long j = 0; j < x.count; j++)
      multiply(x.rows, x.columns, x.depth, a, x.across ? 1 : x.depth, x.across ? x.rows : 1, b, x.columns, c, x.columns);
    elapsed += now() - begin;
  }
  return elapsed;
}
}
