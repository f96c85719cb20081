// The snapshot file: the parts of a router's cache, each the records below one prefix, for a start without
// the CMDB. All of it is under a MAC by the cluster key, so that only a file of this cluster is believed.
//
//   "fastcontainer snapshot 1\n", 16 bytes that name the cluster,
//   parts: length (4 bytes, little-endian), 16 bytes MAC, body; length 0 and 16 bytes MAC of all that was
//   before end the file.
#ifndef FASTCONTAINER_LIB_ROUTER_SNAPSHOT_H_
#define FASTCONTAINER_LIB_ROUTER_SNAPSHOT_H_

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fastcontainer/clock.h"
#include "fastcontainer/cmdb.h"

namespace fastcontainer {

// Whose records they are. Without a key the MAC is a mere checksum.
struct SnapshotSeal {
  std::string cmdb;  // what names the store: its URL
  std::vector<std::array<uint8_t, 32>> keys;
};

using SnapshotMac = std::array<uint8_t, 16>;

class SnapshotPart {
 public:
  // `current_at` is when its records were last known to be current, of the wall clock.
  SnapshotPart(std::string_view prefix, Nanos current_at);
  // Its key starts with the prefix.
  void Add(const Record& record);
  const std::string& body() const { return body_; }

 private:
  size_t prefix_size_;
  std::string body_;
};

// The pieces of a file, in their order.
class SnapshotEncoder {
 public:
  explicit SnapshotEncoder(const SnapshotSeal& seal);
  std::string Header();
  // Empty if the body is too long for a part.
  std::string Part(std::string_view body);
  std::string End();

 private:
  SnapshotMac name_;
  std::array<uint8_t, 32> key_{};
  std::string macs_;
};

// An open file, of which only the whereabouts of its parts are in memory.
class SnapshotReader {
 public:
  struct Contents {
    Nanos current_at = 0;
    std::vector<Record> records;
  };
  // Checks all of it. NotFound; InvalidArgument says what is wrong: another version, another cluster, damage.
  static absl::StatusOr<SnapshotReader> Open(const std::string& path, const SnapshotSeal& seal);
  ~SnapshotReader();
  SnapshotReader(SnapshotReader&& other) noexcept;
  SnapshotReader& operator=(SnapshotReader&&) = delete;

  std::vector<std::string> Prefixes() const;
  // The records of a part, or its body as it stands. NotFound: there is none. DataLoss: no longer as it was.
  absl::StatusOr<Contents> Read(std::string_view prefix) const;
  absl::StatusOr<std::string> Body(std::string_view prefix) const;

 private:
  struct Place {
    int64_t offset = 0;
    uint32_t size = 0;
    SnapshotMac mac{};
  };
  explicit SnapshotReader(int fd) : fd_(fd) {}
  absl::Status Index(const SnapshotSeal& seal);
  absl::StatusOr<std::string> Bytes(int64_t offset, size_t size) const;

  int fd_ = -1;
  std::array<uint8_t, 32> key_{};
  std::map<std::string, Place, std::less<>> parts_;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_ROUTER_SNAPSHOT_H_
