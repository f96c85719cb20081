#include "lib/cmdb/record_table.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "fastcontainer/records.h"
#include "lib/base/strings.h"

namespace fastcontainer {
namespace {

// Each look-up reads half of one.
constexpr size_t kBlock = 1'536;

Strings PackingOf(std::string_view prefix) {
  if (prefix.starts_with(RecordKindPrefix(RecordKind::kKey))) return Strings::kInline;
  if (prefix.starts_with(RecordKindPrefix(RecordKind::kPlacement))) return Strings::kEach;
  return Strings::kShared;
}

// What follows is coded against `before`, the name in front.
void Encode(std::string_view before, std::string_view name, const RecordTable::State& state,
            std::string_view packed, std::string* out) {
  const auto [differs, _] =
      std::mismatch(name.begin(), name.begin() + static_cast<ptrdiff_t>(std::min(name.size(), before.size())),
                    before.begin());
  const auto shared = static_cast<size_t>(differs - name.begin());
  PutVarint(shared, out);
  PutVarint(name.size() - shared, out);
  out->append(name.substr(shared));
  PutVarint(state.revision << 1 | (state.seeded ? 1 : 0), out);
  PutVarint(packed.size(), out);
  out->append(packed);
}

// The first name of a block stands in it whole.
std::string_view FirstName(std::string_view block) {
  TakeVarint(&block);
  const size_t size = TakeVarint(&block);
  return block.substr(0, size);
}

}  // namespace

RecordTable::RecordTable(std::string prefix, std::shared_ptr<StringTable> strings)
    : prefix_(std::move(prefix)), strings_(std::move(strings)), packing_(PackingOf(prefix_)) {}

RecordTable& RecordTable::operator=(RecordTable&& other) noexcept {
  Clear();
  prefix_ = std::move(other.prefix_);
  strings_ = std::move(other.strings_);
  packing_ = other.packing_;
  blocks_ = std::exchange(other.blocks_, {});
  last_ = std::exchange(other.last_, {});
  size_ = std::exchange(other.size_, 0);
  return *this;
}

void RecordTable::Clear() {
  for (const std::string& block : blocks_) {
    Reader reader{block, {}, {}, {}};
    while (reader.Next()) ReleaseValue(reader.packed, *strings_);
  }
  blocks_.clear();
}

bool RecordTable::Reader::Next() {
  if (rest.empty()) return false;
  const size_t shared = TakeVarint(&rest);
  const size_t own = TakeVarint(&rest);
  name.resize(shared);
  name.append(rest.substr(0, own));
  rest.remove_prefix(own);
  const uint64_t state_bits = TakeVarint(&rest);
  state = {state_bits >> 1, (state_bits & 1) != 0};
  const size_t size = TakeVarint(&rest);
  packed = rest.substr(0, size);
  rest.remove_prefix(size);
  return true;
}

// The block that has the name, if any has.
size_t RecordTable::BlockOf(std::string_view name) const {
  const auto after =
      std::upper_bound(blocks_.begin(), blocks_.end(), name,
                       [](std::string_view n, const std::string& block) { return n < FirstName(block); });
  return after == blocks_.begin() ? 0 : static_cast<size_t>(after - blocks_.begin()) - 1;
}

bool RecordTable::Seek(std::string_view key, Reader* reader) const {
  if (!key.starts_with(prefix_) || blocks_.empty()) return false;
  key.remove_prefix(prefix_.size());
  reader->rest = blocks_[BlockOf(key)];
  while (reader->Next())
    if (reader->name >= key) return reader->name == key;
  return false;
}

Record RecordTable::Unpack(const Reader& reader) const {
  return {absl::StrCat(prefix_, reader.name), UnpackValue(reader.packed, reader.name, *strings_),
          reader.state.revision};
}

std::optional<Record> RecordTable::Find(std::string_view key) const {
  Reader reader;
  if (!Seek(key, &reader)) return std::nullopt;
  return Unpack(reader);
}

std::optional<RecordTable::State> RecordTable::StateOf(std::string_view key) const {
  Reader reader;
  if (!Seek(key, &reader)) return std::nullopt;
  return reader.state;
}

void RecordTable::Append(Entry entry) {
  if (blocks_.empty() || blocks_.back().size() >= kBlock) {
    if (!blocks_.empty()) blocks_.back().shrink_to_fit();
    blocks_.emplace_back();
    last_.clear();
  }
  Encode(last_, entry.name, entry.state, entry.packed, &blocks_.back());
  last_ = std::move(entry.name);
  ++size_;
}

void RecordTable::Put(const Record& record, bool seeded) {
  const std::string_view name = std::string_view(record.key).substr(prefix_.size());
  Entry entry{
      std::string(name), {record.revision, seeded}, PackValue(record.value, name, packing_, *strings_)};
  if (blocks_.empty() || name > last_) return Append(std::move(entry));
  const size_t block = BlockOf(name);
  std::vector<Entry> entries = Read(block);
  const auto at = std::lower_bound(entries.begin(), entries.end(), name,
                                   [](const Entry& e, std::string_view n) { return e.name < n; });
  if (at != entries.end() && at->name == name) {
    ReleaseValue(at->packed, *strings_);
    *at = std::move(entry);
  } else {
    entries.insert(at, std::move(entry));
    ++size_;
  }
  Rewrite(block, entries);
}

bool RecordTable::Erase(std::string_view key) {
  if (!StateOf(key)) return false;
  const std::string_view name = key.substr(prefix_.size());
  const size_t block = BlockOf(name);
  std::vector<Entry> entries = Read(block);
  std::erase_if(entries, [&](const Entry& entry) {
    if (entry.name != name) return false;
    ReleaseValue(entry.packed, *strings_);
    return true;
  });
  --size_;
  Rewrite(block, entries);
  if (name != last_) return true;
  last_ = blocks_.empty() ? std::string() : Read(blocks_.size() - 1).back().name;
  return true;
}

std::vector<RecordTable::Entry> RecordTable::Read(size_t block) const {
  std::vector<Entry> entries;
  Reader reader{blocks_[block], {}, {}, {}};
  while (reader.Next()) entries.push_back({reader.name, reader.state, std::string(reader.packed)});
  return entries;
}

// In one block, two if it would be too large, or none.
void RecordTable::Rewrite(size_t block, const std::vector<Entry>& entries) {
  std::string one;
  std::string two;
  const Entry* before = nullptr;
  for (const Entry& entry : entries) {
    const bool split = blocks_[block].size() > kBlock + kBlock / 2 && one.size() >= kBlock * 3 / 4;
    std::string& out = split || !two.empty() ? two : one;
    Encode(before == nullptr || out.empty() ? "" : before->name, entry.name, entry.state, entry.packed, &out);
    before = &entry;
  }
  one.shrink_to_fit();
  two.shrink_to_fit();
  const auto at = blocks_.begin() + static_cast<ptrdiff_t>(block);
  if (one.empty()) {
    blocks_.erase(at);
    return;
  }
  *at = std::move(one);
  if (!two.empty()) blocks_.insert(blocks_.begin() + static_cast<ptrdiff_t>(block) + 1, std::move(two));
}

void RecordTable::ForEach(absl::FunctionRef<void(const Record&, bool)> visit) const {
  for (const std::string& block : blocks_) {
    Reader reader{block, {}, {}, {}};
    while (reader.Next()) visit(Unpack(reader), reader.state.seeded);
  }
}

std::string RecordTable::ForSome(std::string_view after, size_t count,
                                 absl::FunctionRef<void(const Record&)> visit) const {
  const std::string_view name = after.substr(std::min(after.size(), prefix_.size()));
  size_t visited = 0;
  std::string last;
  for (size_t block = name.empty() ? 0 : BlockOf(name); block < blocks_.size(); ++block) {
    Reader reader{blocks_[block], {}, {}, {}};
    while (reader.Next()) {
      if (!name.empty() && reader.name <= name) continue;
      visit(Unpack(reader));
      last = reader.name;
      ++visited;
    }
    if (visited >= count && block + 1 < blocks_.size()) return absl::StrCat(prefix_, last);
  }
  return "";
}

}  // namespace fastcontainer
