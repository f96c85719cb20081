#include "lib/runtime/state_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "lib/runtime/proc.h"

namespace fastcontainer {
namespace {

using Json = nlohmann::json;

constexpr size_t kLongestName = 200;  // leaves room for suffixes below NAME_MAX
constexpr size_t kKeptOfLongName = 180;
constexpr absl::string_view kSuffix = ".json";
constexpr absl::string_view kTemporary = ".tmp";

absl::Status FileError(int error, std::string_view what, std::string_view path) {
  const std::string message =
      absl::StrCat("cannot ", std::string(what), " ", std::string(path), ": ", std::strerror(error));
  if (error == ENOSPC || error == EDQUOT || error == EFBIG || error == EMFILE || error == ENFILE)
    return absl::ResourceExhaustedError(message);
  return absl::UnavailableError(message);
}

template <typename T>
bool ReadNumber(const Json& object, const char* name, T* out) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_number_unsigned()) return false;
  const auto value = found->get<uint64_t>();
  *out = static_cast<T>(value);
  return static_cast<uint64_t>(*out) == value && *out >= 0;
}

bool ReadString(const Json& object, const char* name, std::string* out) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_string()) return false;
  *out = found->get_ref<const std::string&>();
  return true;
}

bool ReadFlag(const Json& object, const char* name, bool* out) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_boolean()) return false;
  *out = found->get<bool>();
  return true;
}

bool WriteAll(int fd, std::string_view content) {
  while (!content.empty()) {
    const ssize_t written = write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    content.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

std::string FileNameFor(std::string_view id) {
  std::string name;
  for (const char c : id) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '_' || c == '-' || (c == '.' && !name.empty());
    if (plain)
      name.push_back(c);
    else
      absl::StrAppendFormat(&name, "%%%02x", static_cast<unsigned char>(c));
  }
  if (name.size() <= kLongestName) return name;
  return absl::StrFormat("%s~%016x", name.substr(0, kKeptOfLongName), XXH3_64bits(id.data(), id.size()));
}

std::string IdOfFileName(std::string_view name) {
  std::string id;
  for (size_t i = 0; i < name.size(); ++i) {
    if (name[i] == '~') return "";
    if (name[i] != '%') {
      id.push_back(name[i]);
      continue;
    }
    if (i + 2 >= name.size()) return "";
    const int high = HexDigit(name[i + 1]);
    const int low = HexDigit(name[i + 2]);
    if (high < 0 || low < 0) return "";
    id.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return id;
}

absl::StatusOr<std::string> EncodeInstanceRecord(const InstanceRecord& record) {
  const Json json = {{"v", 1},
                     {"instance", record.instance},
                     {"container", record.container},
                     {"replica", record.replica},
                     {"epoch", record.epoch},
                     {"spec_revision", record.spec_revision},
                     {"address", record.address.ToString()},
                     {"boot_id", record.boot_id},
                     {"pid", static_cast<uint64_t>(record.pid)},
                     {"start_time", record.start_time},
                     {"cgroup", record.cgroup},
                     {"ready", record.ready}};
  try {
    return json.dump();
  } catch (const Json::exception&) {
    return absl::InvalidArgumentError("an instance's id, container or revision is not UTF-8");
  }
}

absl::StatusOr<InstanceRecord> DecodeInstanceRecord(std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return absl::DataLossError("not a JSON object");
  InstanceRecord record;
  uint32_t version = 0;
  std::string address;
  if (!ReadNumber(json, "v", &version) || version != 1) return absl::DataLossError("not of version 1");
  if (!ReadString(json, "instance", &record.instance) || record.instance.empty() ||
      !ReadString(json, "container", &record.container) || !ReadNumber(json, "replica", &record.replica) ||
      !ReadNumber(json, "epoch", &record.epoch) ||
      !ReadString(json, "spec_revision", &record.spec_revision) || !ReadString(json, "address", &address) ||
      !ReadString(json, "boot_id", &record.boot_id) || !ReadNumber(json, "pid", &record.pid) ||
      !ReadNumber(json, "start_time", &record.start_time) || !ReadString(json, "cgroup", &record.cgroup) ||
      !ReadFlag(json, "ready", &record.ready))
    return absl::DataLossError("a field is missing or of a wrong type");
  const absl::StatusOr<Address> parsed = Address::Parse(address);
  if (!parsed.ok()) return absl::DataLossError(parsed.status().message());
  record.address = *parsed;
  return record;
}

StateFolder::StateFolder(std::string path, UniqueFd lock) : path_(std::move(path)), lock_(std::move(lock)) {}

absl::StatusOr<StateFolder> StateFolder::Open(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return absl::UnavailableError(absl::StrCat("cannot make ", path, ": ", error.message()));
  const std::string lock_path = path + "/lock";
  UniqueFd lock(open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock.valid()) return absl::UnavailableError(FileError(errno, "open", lock_path).message());
  // Two dispatchers on one folder would each stop what the other has started.
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0)
    return absl::UnavailableError(absl::StrCat("the state folder ", path, " is held by another process"));
  return StateFolder(path, std::move(lock));
}

std::string StateFolder::PathOf(const std::string& instance) const {
  return absl::StrCat(path_, "/", FileNameFor(instance), kSuffix);
}

absl::Status StateFolder::WriteTemporary(const std::string& path, const std::string& content) {
  const UniqueFd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd.valid()) return FileError(errno, "make", path);
  if (!WriteAll(fd.get(), content)) return FileError(errno, "write", path);
  return absl::OkStatus();
}

absl::Status StateFolder::Write(const InstanceRecord& record) {
  const absl::StatusOr<std::string> content = EncodeInstanceRecord(record);
  if (!content.ok()) return content.status();
  const std::string path = PathOf(record.instance);
  const std::string temporary = absl::StrCat(path, kTemporary);
  absl::Status status = WriteTemporary(temporary, *content);
  if (status.ok() && rename(temporary.c_str(), path.c_str()) != 0) status = FileError(errno, "replace", path);
  if (!status.ok()) unlink(temporary.c_str());
  return status;
}

absl::Status StateFolder::Remove(const std::string& instance) {
  const std::string path = PathOf(instance);
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return FileError(errno, "remove", path);
  return absl::OkStatus();
}

absl::StatusOr<StateFolder::Listing> StateFolder::List() {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir(path_.c_str()), closedir);
  if (folder == nullptr) return FileError(errno, "read", path_);
  Listing listing;
  while (const dirent* entry = readdir(folder.get())) {
    absl::string_view name = entry->d_name;
    const std::string path = absl::StrCat(path_, "/", name);
    if (absl::EndsWith(name, absl::StrCat(kSuffix, kTemporary))) {
      unlink(path.c_str());  // a write that never became one: nothing was started on its strength
      continue;
    }
    if (!absl::ConsumeSuffix(&name, kSuffix)) continue;
    const std::optional<std::string> content = ReadSmallFile(path);
    if (!content) return FileError(errno, "read", path);
    if (content->empty()) {
      unlink(path.c_str());  // the machine crashed before this was on disk, and the instance with it
      continue;
    }
    absl::StatusOr<InstanceRecord> record = DecodeInstanceRecord(*content);
    if (record.ok() && FileNameFor(record->instance) == name) {
      listing.records.push_back(*std::move(record));
      continue;
    }
    listing.corrupt.push_back(IdOfFileName(std::string_view(name.data(), name.size())));
    if (rename(path.c_str(), absl::StrCat(path, ".corrupt").c_str()) != 0)
      return FileError(errno, "set aside", path);
  }
  return listing;
}

}  // namespace fastcontainer
