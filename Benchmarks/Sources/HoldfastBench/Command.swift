// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// One line of input:
///
/// | Command | What it does |
/// | --- | --- |
/// | `run` | starts the executor; answers when it is a member of the fleet and claims |
/// | `steps WORKFLOWS STEPS` | starts so many workflows at once, each with so many steps, and awaits them |
/// | `direct COUNT CONCURRENCY` | starts a no-op workflow and awaits it, over and over |
/// | `enqueue COUNT CONCURRENCY QUEUE` | enqueues a no-op workflow, over and over |
/// | `probe COUNT SHORTEST LONGEST QUEUE` | enqueues a `began` workflow after each random pause (in ms) |
/// | `began` | when those of them that ran here began |
/// | `stop` | ends the process |
struct Command {
    let name: String
    private let words: [Substring]

    init(_ line: String) {
        let words = line.split(separator: " ")
        self.name = words.first.map(String.init) ?? ""
        self.words = Array(words.dropFirst())
    }

    func text(_ index: Int) throws -> String {
        guard index < self.words.count else { throw Failure("argument \(index + 1) is missing") }
        return String(self.words[index])
    }

    func number(_ index: Int) throws -> Int {
        guard let number = Int(try self.text(index)), number >= 0 else {
            throw Failure("argument \(index + 1) is not a number")
        }
        return number
    }
}

/// The answer to a command; what does not apply is left out.
struct Answer: Encodable {
    /// How long the whole took.
    var seconds: Double?
    /// How long each single one took.
    var milliseconds: [Double]?
    /// Of each probe: when the call began and when it returned, in seconds of the machine's monotonic clock.
    var called: [Double]?
    var returned: [Double]?
    /// Of each probe that ran here: when its workflow's first line ran, by the same clock.
    var began: [Int: Double]?
}
