import { expect, test } from "vitest";
import { bytesOf, entry, part, rowsOf, unpack } from "./numbers";
import { pack } from "./testing/pack";

test("integers of both signs come back at their scale, low byte first", () => {
  // 1, −2 and 258 as two bytes each: 01 00, FE FF, 02 01.
  const numbers = { shape: [3], scale: 0.5, data: btoa("\x01\x00\xfe\xff\x02\x01") };
  expect([...unpack(numbers)]).toEqual([0.5, -1, 129]);
});

test("a part is what lies below the first axes", () => {
  const numbers = pack(
    Array.from({ length: 24 }, (_, place) => place),
    [2, 3, 4],
  );
  expect([...part(numbers, 1)]).toEqual([12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23]);
  expect([...part(numbers, 1, 2)]).toEqual([20, 21, 22, 23]);
  expect(entry(numbers, 0, 2, 3)).toBe(11);
});

test("numbers are unpacked once", () => {
  const numbers = pack([1, 2], [2]);
  expect(unpack(numbers)).toBe(unpack(numbers));
});

test("data that is not as long as its shape says is refused", () => {
  expect(() => unpack({ ...pack([1, 2, 3], [3]), shape: [4] })).toThrow("not as long as their shape");
});

test("flat values become rows", () => {
  expect(rowsOf([1, 2, 3, 4, 5, 6], 3)).toEqual([
    [1, 2, 3],
    [4, 5, 6],
  ]);
});

test("bytes above 127 survive base64", () => {
  expect([...bytesOf(btoa("\x00\x7f\x80\xff"))]).toEqual([0, 127, 128, 255]);
});
