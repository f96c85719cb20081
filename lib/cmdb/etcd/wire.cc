#include "lib/cmdb/etcd/wire.h"

#include <utility>

namespace fastcontainer::etcd {
namespace {

constexpr uint32_t kVarint = 0;
constexpr uint32_t kFixed64 = 1;
constexpr uint32_t kLengthDelimited = 2;
constexpr uint32_t kFixed32 = 5;
constexpr uint64_t kMaxField = (1u << 29) - 1;

}  // namespace

void ProtoWriter::Raw(uint64_t value) {
  while (value >= 0x80) {
    out_.push_back(static_cast<char>(static_cast<uint8_t>(value | 0x80)));
    value >>= 7;
  }
  out_.push_back(static_cast<char>(value));
}

ProtoWriter& ProtoWriter::PresentVarint(uint32_t field, uint64_t value) {
  Raw(uint64_t{field} << 3 | kVarint);
  Raw(value);
  return *this;
}

ProtoWriter& ProtoWriter::Varint(uint32_t field, uint64_t value) {
  return value == 0 ? *this : PresentVarint(field, value);
}

ProtoWriter& ProtoWriter::Message(uint32_t field, std::string_view encoded) {
  Raw(uint64_t{field} << 3 | kLengthDelimited);
  Raw(encoded.size());
  out_.append(encoded);
  return *this;
}

ProtoWriter& ProtoWriter::Bytes(uint32_t field, std::string_view value) {
  return value.empty() ? *this : Message(field, value);
}

bool ProtoReader::Fail() {
  ok_ = false;
  rest_ = {};
  return false;
}

bool ProtoReader::ReadVarint(uint64_t* value) {
  *value = 0;
  for (uint32_t shift = 0; shift < 64; shift += 7) {
    if (rest_.empty()) return Fail();
    const auto byte = static_cast<uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    *value |= uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) return true;
  }
  return Fail();
}

bool ProtoReader::ReadBytes(uint64_t length) {
  if (length > rest_.size()) return Fail();
  bytes_ = rest_.substr(0, length);
  rest_.remove_prefix(length);
  return true;
}

bool ProtoReader::Next() {
  if (rest_.empty()) return false;
  uint64_t tag = 0;
  if (!ReadVarint(&tag)) return false;
  if (tag >> 3 == 0 || tag >> 3 > kMaxField) return Fail();
  field_ = static_cast<uint32_t>(tag >> 3);
  type_ = static_cast<uint32_t>(tag & 7);
  switch (type_) {
    case kVarint:
      return ReadVarint(&varint_);
    case kFixed64:
      return ReadBytes(8);
    case kLengthDelimited: {
      uint64_t length = 0;
      return ReadVarint(&length) && ReadBytes(length);
    }
    case kFixed32:
      return ReadBytes(4);
    default:  // groups, which proto3 does not have
      return Fail();
  }
}

}  // namespace fastcontainer::etcd
