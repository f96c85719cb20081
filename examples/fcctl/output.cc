#include "examples/fcctl/output.h"

#include <algorithm>
#include <cctype>
#include <cstdio>

namespace {

std::string Cell(const nlohmann::ordered_json& row, const std::string& column) {
  auto found = row.find(column);
  if (found == row.end() || found->is_null()) return "-";
  std::string text = found->is_string() ? found->get<std::string>() : found->dump();
  return text.empty() ? "-" : text;
}

}  // namespace

void Output::Add(nlohmann::ordered_json row) {
  if (!json_) return rows_.push_back(std::move(row));
  puts(row.dump().c_str());
  fflush(stdout);
}

void Output::Flush() {
  if (json_) return;
  std::vector<std::vector<std::string>> lines(1);
  for (std::string column : columns_) {
    for (char& c : column) c = static_cast<char>(toupper(static_cast<unsigned char>(c)));
    lines[0].push_back(column);
  }
  for (const auto& row : rows_) {
    lines.emplace_back();
    for (const std::string& column : columns_) lines.back().push_back(Cell(row, column));
  }
  std::vector<size_t> widths(columns_.size(), 0);
  for (const auto& line : lines) {
    for (size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  }
  for (const auto& line : lines) {
    std::string text;
    for (size_t i = 0; i < line.size(); ++i) {
      text += line[i];
      if (i + 1 < line.size()) text.append(widths[i] - line[i].size() + 2, ' ');
    }
    puts(text.c_str());
  }
  rows_.clear();
}
