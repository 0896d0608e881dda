; Reads triples of strings, [what shown told], and compares shown with told as Clojure reads them.
; Prints how many are the same, and each that is not. Tags of ours stand for what EDN cannot say;
; the manifests have others for the same.
(require '[clojure.edn :as edn])

(def ours {"fixture/bytes" "etagfs/bytes", "fixture/int-array" "etagfs/ints",
           "fixture/long-array" "etagfs/longs", "fixture/double-array" "etagfs/doubles",
           "fixture/float-array" "etagfs/floats", "fixture/boolean-array" "etagfs/booleans",
           "fixture/object-array" "etagfs/objects"})

(defn tagged [tag value]
  (case (str tag)
    "etagfs/float" (double value)
    "etagfs/jlist" value
    ; How the library prints records whose class it does not have.
    "incognito.base.IncognitoTaggedLiteral" [::tagged (str (:tag value)) (:value value)]
    "boring/record" [::tagged (first value) (second value)]
    [::tagged (get ours (str tag) (str tag)) value]))

(defn value [text]
  (edn/read-string {:default tagged} text))

(defn same? [one other]
  (or (= one other)
      ; ##NaN is not equal to itself.
      (= (pr-str one) (pr-str other))))

(let [triples (edn/read-string (slurp *in*))
      differ (remove (fn [[_ shown told]] (same? (value shown) (value told))) triples)]
  (println (- (count triples) (count differ)))
  (doseq [one differ] (prn one)))
