// Structs that grow: the caller says how much of one it knows.
#ifndef FASTCONTAINER_CAPI_STRUCT_SIZE_H_
#define FASTCONTAINER_CAPI_STRUCT_SIZE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "capi/convert.h"

namespace fastcontainer::capi {

// Copies the caller's struct over `out`, whose defaults stay where the caller's is older and shorter. A newer
// and longer one is accepted if it uses nothing that this library does not know. FC_E_INVALID names the
// struct.
template <typename T>
int32_t ReadStruct(const T* in, const char* name, T* out, fc_error* error) {
  const uint32_t size = in->struct_size;
  if (size < sizeof(uint32_t))
    return Fail(error, FC_E_INVALID, std::string(name) + ".struct_size: not set; use sizeof or *_init()");
  const auto* bytes = reinterpret_cast<const unsigned char*>(in);
  for (size_t i = sizeof(T); i < size; ++i) {
    if (bytes[i] == 0) continue;
    return Fail(error, FC_E_INVALID,
                std::string(name) + ".struct_size: " + std::to_string(size) +
                    " bytes, of which this library knows " + std::to_string(sizeof(T)) +
                    "; what follows them must be zero");
  }
  std::memcpy(out, in, std::min<size_t>(size, sizeof(T)));
  out->struct_size = sizeof(T);
  return FC_OK;
}

// Fills the caller's struct as far as it goes, and zeroes what this library does not know. False: it says no
// size.
template <typename T>
bool WriteStruct(const T& in, T* out) {
  const uint32_t size = out->struct_size;
  if (size < sizeof(uint32_t)) return false;
  std::memcpy(out, &in, std::min<size_t>(size, sizeof(T)));
  if (size > sizeof(T)) std::memset(reinterpret_cast<unsigned char*>(out) + sizeof(T), 0, size - sizeof(T));
  out->struct_size = size;
  return true;
}

}  // namespace fastcontainer::capi

#endif  // FASTCONTAINER_CAPI_STRUCT_SIZE_H_
