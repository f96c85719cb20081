#include "lib/router/snapshot.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/cmdb/packed_value.h"

namespace fastcontainer {
namespace {

constexpr std::string_view kMagic = "fastcontainer snapshot ";
constexpr std::string_view kVersion = "1\n";
constexpr size_t kHead = kMagic.size() + kVersion.size();
constexpr size_t kLength = 4;
constexpr size_t kMac = std::tuple_size_v<SnapshotMac>;
// A shard of a hundred million records is smaller.
constexpr uint32_t kMostBytes = uint32_t{1} << 30;

SnapshotMac Mac(std::string_view text, const std::array<uint8_t, 32>& key) {
  SnapshotMac mac;
  crypto_generichash(mac.data(), mac.size(), reinterpret_cast<const unsigned char*>(text.data()), text.size(),
                     key.data(), key.size());
  return mac;
}

std::string_view View(const SnapshotMac& mac) { return {reinterpret_cast<const char*>(mac.data()), kMac}; }

SnapshotMac NameOf(const SnapshotSeal& seal, const std::array<uint8_t, 32>& key) {
  return Mac(absl::StrCat("cluster of ", seal.cmdb), key);
}

std::vector<std::array<uint8_t, 32>> KeysOf(const SnapshotSeal& seal) {
  return seal.keys.empty() ? std::vector<std::array<uint8_t, 32>>(1) : seal.keys;
}

std::string LengthOf(uint32_t n) {
  return {static_cast<char>(n), static_cast<char>(n >> 8), static_cast<char>(n >> 16),
          static_cast<char>(n >> 24)};
}

uint32_t ReadLength(std::string_view bytes) {
  uint32_t n = 0;
  for (size_t i = kLength; i-- > 0;) n = n << 8 | static_cast<uint8_t>(bytes[i]);
  return n;
}

// Takes a string with its length off `in`.
std::optional<std::string_view> TakeText(std::string_view* in) {
  const uint64_t size = TakeVarint(in);
  if (size > in->size()) return std::nullopt;
  const std::string_view text = in->substr(0, size);
  in->remove_prefix(size);
  return text;
}

void PutText(std::string_view text, std::string* out) {
  PutVarint(text.size(), out);
  out->append(text);
}

absl::Status Damaged(std::string_view how) {
  return absl::InvalidArgumentError(absl::StrCat("it is damaged: ", std::string(how)));
}

}  // namespace

SnapshotPart::SnapshotPart(std::string_view prefix, Nanos current_at) : prefix_size_(prefix.size()) {
  PutText(prefix, &body_);
  PutVarint(static_cast<uint64_t>(std::max<Nanos>(current_at, 0)), &body_);
}

void SnapshotPart::Add(const Record& record) {
  PutText(std::string_view(record.key).substr(prefix_size_), &body_);
  PutVarint(record.revision, &body_);
  PutText(record.value, &body_);
}

SnapshotEncoder::SnapshotEncoder(const SnapshotSeal& seal) : key_(KeysOf(seal)[0]) {
  name_ = NameOf(seal, key_);
}

std::string SnapshotEncoder::Header() {
  std::string head(kMagic);
  head.append(kVersion).append(View(name_));
  macs_ = head;
  return head;
}

std::string SnapshotEncoder::Part(std::string_view body) {
  if (body.size() > kMostBytes) return "";
  const SnapshotMac mac = Mac(body, key_);
  macs_ += View(mac);
  std::string out = LengthOf(static_cast<uint32_t>(body.size()));
  return out.append(View(mac)).append(body);
}

std::string SnapshotEncoder::End() { return LengthOf(0).append(View(Mac(macs_, key_))); }

absl::StatusOr<SnapshotReader> SnapshotReader::Open(const std::string& path, const SnapshotSeal& seal) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0 && errno == ENOENT) return absl::NotFoundError("there is none");
  if (fd < 0) return absl::InvalidArgumentError(absl::StrCat("open: ", strerror(errno)));
  SnapshotReader reader(fd);
  if (absl::Status status = reader.Index(seal); !status.ok()) return status;
  return reader;
}

SnapshotReader::SnapshotReader(SnapshotReader&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), key_(other.key_), parts_(std::move(other.parts_)) {}

SnapshotReader::~SnapshotReader() {
  if (fd_ >= 0) close(fd_);
}

absl::StatusOr<std::string> SnapshotReader::Bytes(int64_t offset, size_t size) const {
  std::string bytes(size, '\0');
  for (size_t done = 0; done < size;) {
    const ssize_t n = pread(fd_, bytes.data() + done, size - done, offset + static_cast<int64_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return absl::InvalidArgumentError(absl::StrCat("read: ", strerror(errno)));
    if (n == 0) return Damaged("it ends too early");
    done += static_cast<size_t>(n);
  }
  return bytes;
}

absl::Status SnapshotReader::Index(const SnapshotSeal& seal) {
  struct stat info {};
  if (fstat(fd_, &info) != 0 || !S_ISREG(info.st_mode))
    return absl::InvalidArgumentError("it is not a regular file");
  absl::StatusOr<std::string> macs = Bytes(0, kHead + kMac);
  if (!macs.ok()) return macs.status();
  if (!macs->starts_with(kMagic)) return Damaged("it does not begin as one");
  if (macs->substr(kMagic.size(), kVersion.size()) != kVersion)
    return absl::InvalidArgumentError("it is of another version; accepted is version 1");
  const std::string_view name = std::string_view(*macs).substr(kHead);
  const std::vector<std::array<uint8_t, 32>> keys = KeysOf(seal);
  const auto key =
      std::find_if(keys.begin(), keys.end(), [&](const auto& k) { return View(NameOf(seal, k)) == name; });
  if (key == keys.end())
    return absl::InvalidArgumentError("it is of another cluster: the CMDB's URL or the cluster key differs");
  key_ = *key;
  int64_t offset = static_cast<int64_t>(kHead + kMac);
  for (;;) {
    const absl::StatusOr<std::string> head = Bytes(offset, kLength + kMac);
    if (!head.ok()) return head.status();
    offset += static_cast<int64_t>(head->size());
    Place place{offset, ReadLength(*head), {}};
    std::memcpy(place.mac.data(), head->data() + kLength, kMac);
    if (place.size == 0) {
      if (place.mac != Mac(*macs, key_)) return Damaged("its end is not that of its beginning");
      return offset == info.st_size ? absl::OkStatus() : Damaged("something follows its end");
    }
    if (place.size > info.st_size - offset) return Damaged("it ends too early");
    const absl::StatusOr<std::string> body = Bytes(offset, place.size);
    if (!body.ok()) return body.status();
    if (Mac(*body, key_) != place.mac) return Damaged("a part is not what was written");
    macs->append(View(place.mac));
    offset += place.size;
    std::string_view rest = *body;
    if (const auto prefix = TakeText(&rest)) parts_[std::string(*prefix)] = place;
  }
}

std::vector<std::string> SnapshotReader::Prefixes() const {
  std::vector<std::string> prefixes;
  for (const auto& [prefix, place] : parts_) prefixes.push_back(prefix);
  return prefixes;
}

absl::StatusOr<std::string> SnapshotReader::Body(std::string_view prefix) const {
  const auto found = parts_.find(prefix);
  if (found == parts_.end()) return absl::NotFoundError("there is no such part");
  absl::StatusOr<std::string> body = Bytes(found->second.offset, found->second.size);
  if (!body.ok()) return body;
  if (Mac(*body, key_) != found->second.mac) return absl::DataLossError("it was changed while in use");
  return body;
}

absl::StatusOr<SnapshotReader::Contents> SnapshotReader::Read(std::string_view prefix) const {
  const absl::StatusOr<std::string> body = Body(prefix);
  if (!body.ok()) return body.status();
  std::string_view rest = *body;
  Contents contents;
  if (!TakeText(&rest)) return Damaged("a part has no prefix");
  contents.current_at = static_cast<Nanos>(TakeVarint(&rest));
  while (!rest.empty()) {
    const auto name = TakeText(&rest);
    const uint64_t revision = TakeVarint(&rest);
    const auto value = TakeText(&rest);
    if (!name || !value) return Damaged("a record is cut off");
    contents.records.push_back(
        {absl::StrCat(std::string(prefix), std::string(*name)), std::string(*value), revision});
  }
  return contents;
}

}  // namespace fastcontainer
