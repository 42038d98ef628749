// "Did you mean": the known word that a mistyped one stands nearest to.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace rejoin::config {

/// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b` (bytes, not
/// characters). Time and memory are the product of the lengths.
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The nearest of `words`: at most a third of the longer word differs (and at most 3 bytes), or one is the
/// start of the other (from 3 bytes on), or they differ in '-' and '_' or in case only. Empty when none is
/// near. Of equals, the first. Cheap for a long `word`: lengths that cannot match are not compared.
std::string_view nearest(std::string_view word, std::span<const std::string_view> words);

}  // namespace rejoin::config
