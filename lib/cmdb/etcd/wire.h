// The coding of protocol buffers (protobuf.dev/programming-guides/encoding), as far as etcd's messages need
// it.
#ifndef FASTCONTAINER_LIB_CMDB_ETCD_WIRE_H_
#define FASTCONTAINER_LIB_CMDB_ETCD_WIRE_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace fastcontainer::etcd {

// Appends fields to a message.
class ProtoWriter {
 public:
  // A zero is the default of proto3 and is left out, as is an empty string.
  ProtoWriter& Varint(uint32_t field, uint64_t value);
  ProtoWriter& Bytes(uint32_t field, std::string_view value);
  // Also if zero or empty: members of a oneof tell by being there, a message by being named.
  ProtoWriter& PresentVarint(uint32_t field, uint64_t value);
  ProtoWriter& Message(uint32_t field, std::string_view encoded);

  std::string Take() { return std::move(out_); }
  const std::string& view() const { return out_; }

 private:
  void Raw(uint64_t value);
  std::string out_;
};

// Reads the fields of a message one by one. Never reads past its end.
class ProtoReader {
 public:
  explicit ProtoReader(std::string_view message) : rest_(message) {}

  // False at the end and at the first malformed byte, which ok() tells apart.
  bool Next();
  bool ok() const { return ok_; }

  // True if the field at hand has this number and this wire type; the others are to be skipped.
  bool IsVarint(uint32_t field) const { return field_ == field && type_ == 0; }
  bool IsBytes(uint32_t field) const { return field_ == field && type_ == 2; }
  uint64_t varint() const { return varint_; }
  std::string_view bytes() const { return bytes_; }

 private:
  bool ReadVarint(uint64_t* value);
  bool ReadBytes(uint64_t length);
  bool Fail();

  std::string_view rest_;
  bool ok_ = true;
  uint32_t field_ = 0;
  uint32_t type_ = 0;
  uint64_t varint_ = 0;
  std::string_view bytes_;
};

}  // namespace fastcontainer::etcd

#endif  // FASTCONTAINER_LIB_CMDB_ETCD_WIRE_H_
