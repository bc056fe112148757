// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

import HoldfastCore
import Testing

@Suite struct ErrorPayloadTests {
    @Test(arguments: [
        (
            #"{"name":"ValueError","message":"nope","code":42,"data":{"k":[1]}}"#,
            PortableErrorPayload(name: "ValueError", message: "nope", code: 42, data: ["k": [1]])
        ),
        (
            #"{"name":"ValueError","message":"boom","code":null}"#,
            PortableErrorPayload(name: "ValueError", message: "boom")
        ),
        (
            #"{"name":"E","message":"m","code":"E_17","data":null}"#,
            PortableErrorPayload(name: "E", message: "m", code: "E_17", data: .null)
        ),
    ])
    func bothWays(text: String, payload: PortableErrorPayload) {
        #expect(PortableErrorPayload(parsing: text) == payload)
        #expect(payload.text() == text)
    }

    @Test(arguments: [
        (#" { "message" : "m" , "name" : "E" , "extra" : 1 } "#, PortableErrorPayload(name: "E", message: "m")),
        (#"{"name":"E","message":"m","code":{"not":"allowed"}}"#, PortableErrorPayload(name: "E", message: "m")),
        (#"{"name":"E","message":"m","code":true}"#, PortableErrorPayload(name: "E", message: "m")),
    ])
    func foreignForms(text: String, payload: PortableErrorPayload) {
        #expect(PortableErrorPayload(parsing: text) == payload)
    }

    @Test(arguments: [
        "", "plain text", "gASVJAAAAAAAAAA=", "null", "[]", "{}", "\"text\"", "{",
        #"{"name":"E"}"#, #"{"message":"m"}"#, #"{"name":1,"message":"m"}"#, #"{"name":"E","message":null}"#,
    ])
    func anyOtherTextIsTheMessage(text: String) {
        #expect(PortableErrorPayload(parsing: text) == PortableErrorPayload(name: "Error", message: text))
    }

    @Test func everyMessageSurvives() {
        let payload = PortableErrorPayload(name: "E\u{0}", message: "a\u{0}\u{1F}\"\\\n\u{2028}é😀", code: "\u{7F}")
        #expect(PortableErrorPayload(parsing: payload.text()) == payload)
        #expect(!payload.text().utf8.contains(0))
    }
}
