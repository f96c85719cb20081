#include "lib/cmdb/postgresql/parameters.h"

#include <algorithm>
#include <limits>

namespace fastcontainer::postgresql {
namespace {

constexpr uint32_t kByteaOid = 17;
constexpr uint32_t kInt8Oid = 20;

// Big-endian, as everything in the protocol.
template <typename Unsigned>
void Append(std::string* to, Unsigned value) {
  for (int shift = static_cast<int>(sizeof(value)) * 8 - 8; shift >= 0; shift -= 8)
    to->push_back(static_cast<char>(static_cast<unsigned char>(value >> shift)));
}

uint64_t Clamped(uint64_t value) {
  return std::min(value, static_cast<uint64_t>(std::numeric_limits<int64_t>::max()));
}

// As array_recv() in PostgreSQL's arrayfuncs.c reads it.
std::string ArrayHeader(size_t size, bool has_null, uint32_t element) {
  std::string array;
  Append<uint32_t>(&array, size == 0 ? 0 : 1);  // dimensions
  Append<uint32_t>(&array, has_null ? 1 : 0);
  Append(&array, element);
  if (size == 0) return array;
  Append(&array, static_cast<uint32_t>(size));
  Append<uint32_t>(&array, 1);  // lower bound
  return array;
}

}  // namespace

Parameters& Parameters::Bytes(std::string_view value) {
  values_.emplace_back(value);
  return *this;
}

Parameters& Parameters::Number(uint64_t value) {
  Append(&values_.emplace_back(), Clamped(value));
  return *this;
}

Parameters& Parameters::BytesArray(const std::vector<std::optional<std::string_view>>& values) {
  const bool has_null =
      std::any_of(values.begin(), values.end(), [](const auto& value) { return !value.has_value(); });
  std::string array = ArrayHeader(values.size(), has_null, kByteaOid);
  for (const std::optional<std::string_view>& value : values) {
    Append(&array, value.has_value() ? static_cast<uint32_t>(value->size()) : ~uint32_t{0});
    if (value.has_value()) array.append(*value);
  }
  values_.push_back(std::move(array));
  return *this;
}

Parameters& Parameters::NumberArray(const std::vector<uint64_t>& values) {
  std::string array = ArrayHeader(values.size(), false, kInt8Oid);
  for (const uint64_t value : values) {
    Append<uint32_t>(&array, sizeof(value));
    Append(&array, Clamped(value));
  }
  values_.push_back(std::move(array));
  return *this;
}

int64_t Rows::Number(int row, int column) const {
  if (IsNull(row, column) || PQgetlength(result_, row, column) != 8) return 0;
  const auto* bytes = reinterpret_cast<const unsigned char*>(PQgetvalue(result_, row, column));
  uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value = value << 8 | bytes[i];
  return static_cast<int64_t>(value);
}

std::string Rows::Bytes(int row, int column) const {
  return std::string(PQgetvalue(result_, row, column),
                     static_cast<size_t>(PQgetlength(result_, row, column)));
}

}  // namespace fastcontainer::postgresql
